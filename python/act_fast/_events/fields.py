"""The fields of events and states: what a class statement may hold, checked when the class is made."""

import sys
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time, timedelta
from decimal import Decimal
from types import FrameType
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import inspect, structs

from act_fast._checks.msgspec_errors import misfit
from act_fast._checks.own_values import can_change
from act_fast._checks.round_trip import difference
from act_fast._events.finite import check_finite
from act_fast.errors import DefinitionError

__all__ = [
    "check_annotated",
    "check_factories",
    "check_fields",
    "classes_in",
    "declared",
    "fields_with_hint",
    "scope_of",
    "structs_in",
    "unstorable",
]

_NO_KEYS: Final = (
    inspect.BoolType,
    inspect.NoneType,
    inspect.ListType,
    inspect.TupleType,
    inspect.VarTupleType,
    inspect.SetType,
    inspect.FrozenSetType,
    inspect.DictType,
    inspect.StructType,
    inspect.DataclassType,
    inspect.NamedTupleType,
    inspect.TypedDictType,
)

_WITH_FIELDS: Final = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)


_PLAIN: Final = (
    bool, int, float, str, bytes, bytearray, list, dict, set, frozenset, tuple, Decimal, date, time, timedelta, UUID,
)  # fmt: skip


def scope_of(frame: FrameType) -> Mapping[str, Any]:
    """The names a class statement in this frame can see besides those of its module."""
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)


def declared(namespace: Mapping[str, Any]) -> list[str]:
    """The names that a class body annotates, whatever their annotations mean."""
    if sys.version_info >= (3, 14) and "__annotations__" not in namespace:
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        return list(annotationlib.call_annotate_function(annotate, annotationlib.Format.STRING)) if annotate else []
    return list(namespace.get("__annotations__", {}))


def check_annotated(class_name: str, namespace: Mapping[str, Any]) -> None:
    """Refuse plain values without an annotation, which look like fields and are none. Constants are in capitals."""
    known = set(declared(namespace))
    for name, value in namespace.items():
        if name in known or name.startswith("_") or name.isupper() or not isinstance(value, _PLAIN):
            continue
        raise DefinitionError(
            f"{class_name}.{name} has a value but no annotation, so it is not a field; write"
            f" `{name}: {type(value).__name__} = ...`, or, for a constant, `{name}: ClassVar = ...`"
        )


@contextmanager
def fields_with_hint(class_name: str, namespace: Mapping[str, Any]) -> Iterator[None]:
    """Turns what msgspec says against a class into an error that names the class, the field and the fix."""
    for field in declared(namespace):
        default = namespace.get(field)
        plain = isinstance(default, list | dict | set | bytearray)
        if default if plain else can_change(default):
            raise DefinitionError(_shared(f"{class_name}.{field}", field))
    try:
        yield
    except TypeError as error:
        raise DefinitionError(f"{class_name}: {error}") from None


def check_fields(cls: type, *, final: bool = False, declared: Container[str] = ()) -> None:
    """Refuse fields that JSON cannot hold, and defaults that are not of their field's type.

    A field may name a class that is defined later, so names that mean nothing yet are an error only when `final`.
    Defaults of `declared` fields are not the author's, and left alone.
    """
    try:
        found = unstorable(inspect.type_info(cls), cls.__qualname__)
    except NameError as error:
        if final:
            raise DefinitionError(
                f"{cls.__qualname__}: the annotation {error.name!r} means nothing in {cls.__module__};"
                " import it outside of `if TYPE_CHECKING`, or define it at the top of the module"
            ) from None
        return
    except TypeError as error:
        raise DefinitionError(f"{cls.__qualname__}: {error}") from None
    if found:
        raise DefinitionError(f"{found}; use types that msgspec can encode as JSON")
    for field in structs.fields(cls):
        if field.default is not msgspec.NODEFAULT and field.name not in declared:
            place = f"{cls.__qualname__}.{field.name}"
            if can_change(field.default):
                raise DefinitionError(_shared(place, field.name))
            _check_default(place, field.default, field.type)


def _shared(place: str, field: str) -> str:
    return (
        f"{place} has a mutable default, which all instances would share; write"
        f" `{field}: ... = msgspec.field(default_factory=...)`"
    )


def _check_default(place: str, default: Any, kind: Any) -> None:
    """Refuse a default that would not come back from the log: nobody looks at it where it is left as it is."""
    try:
        encoded = msgspec.json.encode(default)
        check_finite(default, encoded)
        back = msgspec.json.decode(encoded, type=kind)
    except msgspec.MsgspecError as error:
        what, _ = misfit(error, kind)
        raise DefinitionError(
            f"{place} has a default that is not of its type: as JSON, {what}; give it one that is, or let the type say"
            " `| None`"
        ) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DefinitionError(f"{place} has a default that cannot be stored: {error}") from None
    if (changed := difference(default, back, place)) is not None:
        raise DefinitionError(
            f"{changed} from JSON, so it would not be read again as it was; give it a default that does, or let"
            " the type say what it holds"
        )


def check_factories(state: type[msgspec.Struct]) -> None:
    """Refuse collections that come back from a snapshot as plain ones: what reducers rely on would then be gone."""
    for field in structs.fields(state):
        if field.default_factory is msgspec.NODEFAULT:
            continue
        place, made = f"{state.__qualname__}.{field.name}", field.default_factory()
        if isinstance(made, dict | list | set):
            try:
                back = msgspec.json.decode(msgspec.json.encode(made), type=field.type)
            except (msgspec.MsgspecError, TypeError, ValueError):
                back = made  # the check below says why
            if type(back) is not type(made):
                raise DefinitionError(
                    f"{place} begins as {type(made).__name__}, but would come back from a snapshot as"
                    f" {type(back).__name__}; let it begin as that"
                )
        _check_default(place, made, field.type)


def unstorable(kind: inspect.Type, path: str, seen: frozenset[type] = frozenset()) -> str | None:
    """Where in a type there is something that JSON cannot hold, in words; None when all of it can be held."""
    if isinstance(kind, inspect.CustomType):
        return f"{path} is of type {kind.cls.__name__}, which cannot be stored"
    if isinstance(kind, inspect.DictType) and isinstance(_bare(kind.key_type), _NO_KEYS):
        return f"{path} has keys that cannot be stored, since in JSON keys are text or numbers"
    if isinstance(kind, inspect.DictType) and _ambiguous(_bare(kind.key_type)):
        return f"{path} has keys that are text or numbers, which JSON cannot tell apart, as all its keys are text"
    if isinstance(kind, _WITH_FIELDS):
        if kind.cls in seen:
            return None
        inner = [(f"{path}.{field.name}", field.type) for field in kind.fields]
        seen |= {kind.cls}
    else:
        place = path if isinstance(kind, inspect.UnionType | inspect.Metadata) else f"{path}[]"
        inner = [(place, part) for part in _parts(kind)]
    return next((found for place, part in inner if (found := unstorable(part, place, seen))), None)


def _ambiguous(keys: inspect.Type) -> bool:
    """Whether some keys are numbers and some are text."""
    kinds = [_bare(each) for each in keys.types] if isinstance(keys, inspect.UnionType) else []
    numbers = [each for each in kinds if isinstance(each, inspect.IntType | inspect.FloatType)]
    return bool(numbers) and len(numbers) < len(kinds)


def structs_in(cls: type) -> list[type[msgspec.Struct]]:
    """The struct classes that instances of a struct class are made of, itself first."""
    return [kind.cls for kind in classes_in(cls) if isinstance(kind, inspect.StructType)]


def classes_in(cls: type) -> "list[inspect.StructType | inspect.DataclassType | inspect.NamedTupleType]":
    """The classes with fields that instances of a struct class are made of, itself first."""
    found: dict[type, Any] = {}
    rest = [inspect.type_info(cls)]
    while rest:
        kind = rest.pop()
        if isinstance(kind, _WITH_FIELDS) and not isinstance(kind, inspect.TypedDictType):
            if kind.cls in found:
                continue
            found[kind.cls] = kind
        if isinstance(kind, _WITH_FIELDS):
            rest.extend(field.type for field in reversed(kind.fields))
        else:
            rest.extend(reversed(_parts(kind)))
    return list(found.values())


def _bare(kind: inspect.Type) -> inspect.Type:
    return _bare(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _parts(kind: inspect.Type) -> list[inspect.Type]:
    match kind:
        case inspect.DictType():
            return [kind.key_type, kind.value_type]
        case inspect.TupleType():
            return list(kind.item_types)
        case inspect.UnionType():
            return list(kind.types)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return [kind.item_type]
        case inspect.Metadata():
            return [kind.type]
        case _:
            return []
