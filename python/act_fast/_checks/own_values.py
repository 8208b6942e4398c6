"""What can change in a value or in values of a type, and copies of values that share none of it."""

import copy
import dataclasses
from typing import Any, Final

import msgspec
from msgspec import inspect
from msgspec.structs import force_setattr

__all__ = ["can_change", "may_change", "own"]

_CHANGING: Final = (
    inspect.AnyType
    | inspect.ListType
    | inspect.SetType
    | inspect.DictType
    | inspect.ByteArrayType
    | inspect.DataclassType
    | inspect.TypedDictType
    | inspect.NamedTupleType
    | inspect.CustomType
)


def may_change(kind: inspect.Type, seen: frozenset[type] = frozenset()) -> bool:
    """Whether values of a type, or something in them, can be changed, as far as the type tells."""
    match kind:
        case inspect.Metadata():
            return may_change(kind.type, seen)
        case inspect.UnionType():
            return any(may_change(each, seen) for each in kind.types)
        case inspect.TupleType():
            return any(may_change(each, seen) for each in kind.item_types)
        case inspect.VarTupleType() | inspect.FrozenSetType():
            return may_change(kind.item_type, seen)
        case inspect.StructType():
            if kind.cls in seen:
                return False
            frozen = kind.cls.__struct_config__.frozen
            return not frozen or any(may_change(each.type, seen | {kind.cls}) for each in kind.fields)
        case _:
            return isinstance(kind, _CHANGING)


def can_change(value: Any) -> bool:
    """Whether a value, or something in it, can be changed. Objects that can leave out `__hash__`, as dataclasses do."""
    if isinstance(value, list | dict | set | bytearray):
        return True
    if isinstance(value, tuple | frozenset):
        return any(map(can_change, value))
    if isinstance(value, msgspec.Struct):
        frozen = value.__struct_config__.frozen
        return not frozen or any(can_change(getattr(value, name)) for name in value.__struct_fields__)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        frozen = type(value).__dataclass_params__.frozen  # type: ignore[attr-defined]
        return not frozen or any(can_change(getattr(value, each.name)) for each in dataclasses.fields(value))
    return type(value).__hash__ is None


def own(value: Any) -> Any:
    """A copy of data that shares nothing that can change; what is no data, such as a connection, stays as it is."""
    kind = type(value)
    if kind is list or kind is tuple or kind is set:
        return kind(map(own, value))
    if kind is dict:
        return {key: own(each) for key, each in value.items()}
    new: Any
    if isinstance(value, msgspec.Struct):
        new = copy.copy(value)
        for name in value.__struct_fields__:
            force_setattr(new, name, own(getattr(value, name)))
        return new
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        new = copy.copy(value)
        for field in dataclasses.fields(value):
            object.__setattr__(new, field.name, own(getattr(value, field.name)))
        return new
    return copy.deepcopy(value) if isinstance(value, list | dict | set | tuple | bytearray) else value
