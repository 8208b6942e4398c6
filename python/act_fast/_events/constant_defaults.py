"""Defaults that are made: a factory must make the same each time, or old events would mean another thing."""

import builtins
import dataclasses
import dis
import enum
import functools
import time as clocks
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import FunctionType, ModuleType
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from act_fast._checks.class_bodies import Body, body_of
from act_fast._checks.name_chains import codes_in
from act_fast._checks.own_values import can_change
from act_fast._checks.repeatable import asks_for
from act_fast._events.fields import classes_in
from act_fast.errors import DefinitionError

__all__ = ["check_body", "check_constant"]

_CLASSES: Final = (
    *(bool, int, float, complex, str, bytes, bytearray, list, dict, set, frozenset, tuple, range, slice),
    *(Counter, OrderedDict, defaultdict, deque),
    *(date, datetime, time, timedelta, timezone, Decimal, Fraction, UUID),
)
_FUNCTIONS: Final = (abs, divmod, len, max, min, pow, round, sorted, sum, zip, map, filter, enumerate, reversed)
_CLOCKS: Final = frozenset({"now", "utcnow", "today"})
_FACTORY: Final = type(msgspec.defstruct("_", [("x", Any, msgspec.field(default_factory=list))]).__struct_defaults__[0])
_CLOCK_MARGIN: Final = timedelta(hours=1)
_CLOCK_MARGIN_OF_SECONDS: Final = timedelta(minutes=1)
"""For times without a fraction of a second, as people write them down."""
_CLOCKS_OF_FLOATS: Final = (clocks.time, clocks.monotonic, clocks.perf_counter)
_CLOCKS_OF_INTEGERS: Final = (clocks.time_ns, clocks.monotonic_ns, clocks.perf_counter_ns)
_UNITS: Final = (1, 10**3, 10**6, 10**9)
_INTEGERS_OF_TIMES: Final = 10**9

_written: WeakKeyDictionary[type, frozenset[str]] = WeakKeyDictionary()
"""The fields of a class whose defaults are written out in its class statement."""


def check_body(cls: type, body: Body | None) -> None:
    """Refuse defaults that ask for something in the class statement itself; called once, where it is at hand.

    Args:
        cls: an event or a state.
        body: its class statement, if it was made by one.

    Raises:
        DefinitionError: a default asks for the time, for chance, or for what is around the process.
    """
    fields = {name: default for name, default in _defaults(cls).items() if type(default) is not _FACTORY}
    _written[cls] = _check_body(cls, body, fields)


def check_constant(cls: type) -> None:
    """Refuse defaults that are, or may be, something else at each start or each reading.

    Args:
        cls: an event or a state; the classes in its fields are looked at too.

    Raises:
        DefinitionError: a factory is none whose result is known to be the same each time; or a default asks for the
            time, for chance, or for what is around the process.
    """
    for kind in classes_in(cls):
        struct = kind.cls
        after = getattr(struct, "__post_init__", None)
        if after is not None and (asked := asks_for(after)) is not None:
            raise DefinitionError(
                f"{struct.__qualname__}.__post_init__ asks {asked}, again each time it is read; let the action"
                " fill it in"
            )
        plain = {each.name: each.default for each in kind.fields if each.default is not msgspec.NODEFAULT}
        if struct not in _written:
            _written[struct] = _check_body(struct, body_of(struct) if plain else None, plain)
        for field in kind.fields:
            place = f"{struct.__qualname__}.{field.name}"
            if field.default_factory is not msgspec.NODEFAULT:
                _check(place, field.name, field.default_factory)
            elif field.name in plain and field.name not in _written[struct]:
                _check_value(place, field.default)


def _check_body(cls: type, body: Body | None, defaults: Iterable[str]) -> frozenset[str]:
    """Refuse defaults that ask; those that are written out in the class, and so are known to be constants."""
    if body is None:
        return frozenset()
    for field in defaults:
        if (asked := body.asks(field)) is not None:
            raise DefinitionError(
                f"{cls.__qualname__}.{field} has a default that asks {asked}, so each start of the program has another;"
                f" let the action fill it in, and write `{field}: ... | None = None` for events without it"
            )
    return frozenset(field for field in defaults if body.writes_out(field))


def _defaults(cls: type) -> dict[str, Any]:
    fields, defaults = cls.__struct_fields__, cls.__struct_defaults__  # type: ignore[attr-defined]
    own = zip(reversed(fields), reversed(defaults), strict=False)
    return {name: default for name, default in own if default is not msgspec.NODEFAULT}


def _check(place: str, field: str, factory: Any) -> None:
    _refuse(place, field, _changing(factory, frozenset()))
    first, second = factory(), factory()
    if msgspec.json.encode(first) != msgspec.json.encode(second):
        raise DefinitionError(f"{place} has a default_factory that returns something else each time; use a constant")
    if can_change(first) and _parts(first) & _parts(second):
        raise DefinitionError(
            f"{place} has a default_factory that returns the same object each time, which all instances would"
            " share; let it make a new one"
        )
    _refuse(place, field, next(filter(None, map(_variable, _functions(factory, set()))), None))


def _refuse(place: str, field: str, culprit: str | None) -> None:
    if culprit is not None:
        raise DefinitionError(
            f"{place} has a default_factory that asks {culprit}, so what lacks the field would mean something else at"
            f" each reading; let the action fill it in, and write `{field}: ... | None = None` for events without it"
        )


def _check_value(place: str, default: object) -> None:
    """Refuse a value that no program writes down: it was made when the class was, so each start has another."""
    what = _made_at_start(default)
    if what is not None:
        raise DefinitionError(
            f"{place} has {what} as its default, which differs each time the program starts; let the action fill it in,"
            " and write `| None = None`. A constant is written out in the class itself"
        )


def _made_at_start(value: object) -> str | None:
    """What a value seems to be that was made when the program started, in words."""
    if isinstance(value, str):
        value = _read_as(value)
    if isinstance(value, UUID) and value.version in (1, 4, 6, 7):
        return "a random UUID" if value.version == 4 else "a time-based UUID"
    now: object = None
    if isinstance(value, datetime):
        margin = _CLOCK_MARGIN if value.microsecond else _CLOCK_MARGIN_OF_SECONDS
        now = abs(datetime.now(value.tzinfo) - value) < margin
    elif isinstance(value, date):
        now = value in (date.today(), datetime.now(UTC).date())
    elif isinstance(value, time):
        now = bool(value.microsecond) and _is_close(value, datetime.now(value.tzinfo).time())
    elif isinstance(value, float) and not value.is_integer():
        now = any(abs(clock() - value) < _CLOCK_MARGIN.total_seconds() for clock in _CLOCKS_OF_FLOATS)
    elif isinstance(value, int) and value > _INTEGERS_OF_TIMES:
        seconds = _CLOCK_MARGIN_OF_SECONDS.total_seconds()
        now = any(
            abs(clock() / unit - value) < seconds * 10**9 / unit for clock in _CLOCKS_OF_INTEGERS for unit in _UNITS
        )
    return "the current time" if now else None


def _read_as(text: str) -> object:
    """The UUID or the time that a text holds, if so."""
    for read in (UUID, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _is_close(one: time, other: time) -> bool:
    day = date.min + timedelta(days=1)
    return abs(datetime.combine(day, one) - datetime.combine(day, other)) < _CLOCK_MARGIN


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
    for code in codes_in(function.__code__):
        for name in code.co_names:
            if name in _CLOCKS:
                return f"for `{name}`"
        for each in dis.get_instructions(code):
            if each.opname == "IMPORT_NAME":
                return f"the module {each.argval}"
            if each.opname == "LOAD_GLOBAL" and (found := _changing_value(_global(function, each.argval), seen)):
                return found
    return next((found for each in _held(function) if (found := _changing_value(each, seen)) is not None), None)


def _functions(factory: Any, seen: set[int]) -> Iterator[Any]:
    """The functions that a factory consists of, and what they were made with."""
    if id(factory) in seen:
        return
    seen.add(id(factory))
    if isinstance(factory, functools.partial):
        inner = [factory.func, *factory.args, *factory.keywords.values()]
    elif isinstance(factory, FunctionType):
        inner = [*(_global(factory, name) for name in _globals(factory)), *_held(factory)]
    else:
        return
    yield factory
    for each in inner:
        yield from _functions(each, seen)


def _variable(factory: Any) -> str | None:
    """What a function, or a partial, uses that is neither code nor a constant, in words."""
    if isinstance(factory, functools.partial):
        held: Iterable[Any] = (*factory.args, *factory.keywords.values())
    else:
        held = _held(factory)
        for name in _globals(factory):
            known = _global(factory, name)
            if not callable(known) and not (name.isupper() and _is_constant(known)):
                return f"the variable `{name}`, which is not a constant"
    wrong = next((each for each in held if not callable(each) and not _is_constant(each)), None)
    return None if wrong is None else f"a {type(wrong).__qualname__} that it was made with, which is not a constant"


def _globals(function: FunctionType) -> Iterator[str]:
    for code in codes_in(function.__code__):
        yield from (each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL")


def _global(function: FunctionType, name: str) -> Any:
    return function.__globals__.get(name, getattr(builtins, name, None))


def _held(function: FunctionType) -> Iterable[Any]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return (*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())


def _is_constant(value: Any) -> bool:
    return _is_data(value) and not can_change(value)


def _is_data(value: Any) -> bool:
    """Whether a value is of a type whose values are data, and not of one that does something, as an iterator."""
    if isinstance(value, tuple | frozenset):
        return all(map(_is_data, value))
    return value is None or isinstance(value, (*_CLASSES, enum.Enum, msgspec.Struct)) or dataclasses.is_dataclass(value)


def _changing_value(value: Any, seen: frozenset[int]) -> str | None:
    """The same of something that a factory uses."""
    if isinstance(value, ModuleType):
        return f"the module {value.__name__}"
    return _changing(value, seen) if callable(value) else None


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
