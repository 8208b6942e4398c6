"""Defaults that are made: a factory must make the same each time, or old events would mean another thing."""

import builtins
import dataclasses
import enum
import functools
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final
from uuid import UUID

import msgspec

from act_fast._checks.own_values import can_change
from act_fast._checks.repeatable import asks_for
from act_fast._events.fields import structs_in
from act_fast.errors import DefinitionError

__all__ = ["check_constant"]

_CLASSES: Final = (
    *(bool, int, float, complex, str, bytes, bytearray, list, dict, set, frozenset, tuple, range, slice),
    *(Counter, OrderedDict, defaultdict, deque),
    *(date, datetime, time, timedelta, timezone, Decimal, Fraction, UUID),
)
_FUNCTIONS: Final = (abs, divmod, len, max, min, pow, round, sorted, sum, zip, map, filter, enumerate, reversed)
_CLOCKS: Final = frozenset({"now", "utcnow", "today"})
_CLOCK_MARGIN: Final = timedelta(hours=1)


def check_constant(cls: type) -> None:
    """Refuse default factories that ask for the time, for chance or for anything else that may change.

    Args:
        cls: an event or a state; the structs and dataclasses in its fields are looked at too.

    Raises:
        DefinitionError: a factory is none whose result is known to be the same each time.
    """
    for struct in structs_in(cls):
        after = getattr(struct, "__post_init__", None)
        if after is not None and (asked := asks_for(after)) is not None:
            raise DefinitionError(
                f"{struct.__qualname__}.__post_init__ asks {asked}, again at each reading; let the action fill it in"
            )
        for field in msgspec.structs.fields(struct):
            place = f"{struct.__qualname__}.{field.name}"
            if field.default_factory is not msgspec.NODEFAULT:
                _check(place, field.name, field.default_factory)
            elif field.default is not msgspec.NODEFAULT:
                _check_moment(place, field.default)


def _check(place: str, field: str, factory: Any) -> None:
    culprit = _changing(factory, frozenset())
    if culprit is not None:
        raise DefinitionError(
            f"{place} has a default_factory that asks {culprit}, so what lacks the field would mean something else at"
            f" each reading; let the action fill it in, and write `{field}: ... | None = None` for what lacks it"
        )
    first, second = factory(), factory()
    if msgspec.json.encode(first) != msgspec.json.encode(second):
        raise DefinitionError(f"{place} has a default_factory that makes something else each time; use a constant")
    if can_change(first) and _parts(first) & _parts(second):
        raise DefinitionError(
            f"{place} has a default_factory that gives the same object each time, which all instances would share; let"
            " it make a new one"
        )


def _check_moment(place: str, default: object) -> None:
    """Refuse `datetime.now()` as a plain default: it was asked when the class was made, so each start has another."""
    if not isinstance(default, datetime) or not default.microsecond:
        return
    now = datetime.now(UTC) if default.tzinfo is not None else datetime.now()
    if abs(now - default) < _CLOCK_MARGIN:
        raise DefinitionError(
            f"{place} has the time of now as its default, another one at each start of the program; let the action"
            " fill it in, and write `| None = None`"
        )


def _changing(factory: Any, seen: frozenset[int]) -> str | None:
    """What a factory asks that may be something else the next time, in words; None when it is known to ask nothing."""
    if id(factory) in seen:
        return None
    seen |= {id(factory)}
    if isinstance(factory, functools.partial):
        parts = (factory.func, *factory.args, *factory.keywords.values())
        return next((found for each in parts if (found := _changing_value(each, seen)) is not None), None)
    if isinstance(factory, type):
        return _changing_class(factory, seen)
    if isinstance(factory, FunctionType):
        return _changing_function(factory, seen)
    return None if factory in _FUNCTIONS else _named(factory)


def _changing_class(cls: type, seen: frozenset[int]) -> str | None:
    if issubclass(cls, enum.Enum) or cls in _CLASSES:
        return None
    if issubclass(cls, msgspec.Struct):
        factories = [field.default_factory for field in msgspec.structs.fields(cls)]
    elif dataclasses.is_dataclass(cls):
        factories = [field.default_factory for field in dataclasses.fields(cls)]
    else:
        return _named(cls)
    after = getattr(cls, "__post_init__", None)
    known = [each for each in factories if each not in (msgspec.NODEFAULT, dataclasses.MISSING)]
    return next((found for each in (*known, *([after] if after else [])) if (found := _changing(each, seen))), None)


def _changing_function(function: FunctionType, seen: frozenset[int]) -> str | None:
    for code in _codes(function.__code__):
        for name in code.co_names:
            if name in _CLOCKS:
                return f"for `{name}`"
            known: Any = function.__globals__.get(name, getattr(builtins, name, None))
            if (found := _changing_value(known, seen)) is not None:
                return found
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    held = (*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    return next((found for each in held if (found := _changing_value(each, seen)) is not None), None)


def _changing_value(value: Any, seen: frozenset[int]) -> str | None:
    """The same of something that a factory uses."""
    if isinstance(value, ModuleType):
        return f"the module {value.__name__}"
    return _changing(value, seen) if callable(value) else None


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _named(what: Any) -> str:
    return f"`{getattr(what, '__qualname__', type(what).__qualname__)}`"


def _parts(value: Any) -> set[int]:
    """The objects in a value that can change."""
    found: set[int] = set()
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, list | dict | set | bytearray) or not getattr(
            getattr(type(each), "__struct_config__", None), "frozen", True
        ):
            found.add(id(each))
        if isinstance(each, dict):
            rest.extend(each.values())
        elif isinstance(each, list | tuple | set | frozenset):
            rest.extend(each)
        elif isinstance(each, msgspec.Struct):
            rest.extend(getattr(each, name) for name in each.__struct_fields__)
    return found
