"""Numbers that JSON does not have: refused when an event is encoded, since they would be stored as `null`."""

import dataclasses
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import inspect

__all__ = ["check_finite", "may_hold_floats"]

_NO_FLOATS: Final = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.IntType,
    inspect.StrType,
    inspect.BytesType,
    inspect.ByteArrayType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.UUIDType,
    inspect.EnumType,
    inspect.LiteralType,
)
_Part: TypeAlias = tuple[str, Any]


def may_hold_floats(cls: type) -> bool:
    """Whether instances of a class may hold a float or a decimal number.

    Raises:
        NameError: a field's type names something that is not there yet.
    """
    return _may(inspect.type_info(cls), ())


def check_finite(value: Any, data: bytes) -> None:
    """Refuse a value that holds `nan` or an infinity, given its JSON.

    Raises:
        msgspec.ValidationError: it does.
    """
    # A float that is none is written as null, a decimal number as one of these texts.
    if b"null" not in data and b'NaN"' not in data and b'Infinity"' not in data:
        return
    found = _found(value)
    if found is not None:
        path, kind = found
        raise msgspec.ValidationError(f"Expected `{kind}` that is finite, since JSON has no other - at `${path}`")


def _may(kind: inspect.Type, within: tuple[type, ...]) -> bool:
    match kind:
        case inspect.Metadata():
            return _may(kind.type, within)
        case inspect.UnionType():
            return any(_may(each, within) for each in kind.types)
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType() | inspect.NamedTupleType():
            inner = (*within, kind.cls)
            return kind.cls not in within and any(_may(field.type, inner) for field in kind.fields)
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
            return _may(kind.item_type, within)
        case inspect.TupleType():
            return any(_may(each, within) for each in kind.item_types)
        case inspect.DictType():
            return _may(kind.key_type, within) or _may(kind.value_type, within)
        case _:
            return not isinstance(kind, _NO_FLOATS)


def _found(value: Any) -> tuple[str, str] | None:
    """The path to the first number in a value that is not finite, and its kind; None when there is none."""
    if isinstance(value, float):
        return None if value - value == 0 else ("", "float")
    if isinstance(value, Decimal):
        return None if value.is_finite() else ("", "decimal")
    for name, part in _parts(value):
        if (inner := _found(part)) is not None:
            return name + inner[0], inner[1]
    return None


def _parts(value: Any) -> Iterator[_Part]:
    if isinstance(value, msgspec.Struct):
        return ((f".{name}", getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, Mapping):
        return (("[...]", part) for both in value.items() for part in both)
    if isinstance(value, list | tuple | set | frozenset):
        return (("[...]", part) for part in value)
    if dataclasses.is_dataclass(value):
        return ((f".{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value))
    return iter(())
