"""Copies of states, deep enough that nobody shares what can change. How is decided once, from a class's fields."""

import copy
from collections.abc import Callable
from typing import Any, Final, TypeAlias, get_origin

import msgspec
from msgspec import inspect
from msgspec.structs import force_setattr

__all__ = ["Copier", "copier_of"]

Copier: TypeAlias = Callable[[Any], Any]

# Straight to where `copy.copy` would end up.
_shallow: Final[Copier] = msgspec.Struct.__copy__  # type: ignore[attr-defined]

_PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes))


def copier_of(cls: type) -> Copier:
    """A function that copies instances of a struct class: 60 ns when no field can change by itself."""
    return _copier(inspect.type_info(cls), {}) or _shallow


def _copier(kind: inspect.Type, seen: dict[type, Copier]) -> Copier | None:
    """How to copy values of a type; None when they cannot change, so that they may be shared."""
    match kind:
        case inspect.Metadata():
            return _copier(kind.type, seen)
        case inspect.UnionType():
            return _union_copier(kind, seen)
        case inspect.DictType():
            return _dict_copier(_copier(kind.value_type, seen))
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
            return _list_copier(kind, _copier(kind.item_type, seen))
        case inspect.TupleType():
            return copy.deepcopy if any(_copier(each, seen) for each in kind.item_types) else None
        case inspect.StructType():
            return _struct_copier(kind, seen)
        case inspect.AnyType() | inspect.ByteArrayType() | inspect.MemoryViewType() | inspect.DataclassType():
            return copy.deepcopy
        case inspect.TypedDictType() | inspect.NamedTupleType() | inspect.CustomType():
            return copy.deepcopy
        case _:
            return None


def _struct_copier(kind: inspect.StructType, seen: dict[type, Copier]) -> Copier | None:
    if kind.cls in seen:
        return lambda value: seen[kind.cls](value)
    frozen = _class_of(kind).__struct_config__.frozen
    seen[kind.cls] = _shallow
    fields = [(each.name, how) for each in kind.fields if (how := _copier(each.type, seen)) is not None]
    if not fields:
        del seen[kind.cls]
        return None if frozen else _shallow
    seen[kind.cls] = _frozen_with(fields) if frozen else _open_with(fields)
    return seen[kind.cls]


def _open_with(fields: list[tuple[str, Copier]]) -> Copier:
    def copied(value: Any) -> Any:
        new = value.__copy__()
        for name, how in fields:
            setattr(new, name, how(getattr(value, name)))
        return new

    return copied


def _frozen_with(fields: list[tuple[str, Copier]]) -> Copier:
    def copied(value: Any) -> Any:
        new = value.__copy__()
        for name, how in fields:
            force_setattr(new, name, how(getattr(value, name)))
        return new

    return copied


def _plain(kind: type[Any]) -> Copier:
    """Copies collections of what cannot change, without the search by which `copy.copy` finds out how."""

    def copied(value: Any) -> Any:
        return value.copy() if type(value) is kind else copy.copy(value)

    return copied


def _dict_copier(item: Copier | None) -> Copier:
    if item is None:
        return _plain(dict)

    def copied(value: Any) -> Any:
        new = copy.copy(value)
        for key, each in new.items():
            new[key] = item(each)
        return new

    return copied


def _list_copier(kind: inspect.Type, item: Copier | None) -> Copier | None:
    if isinstance(kind, inspect.SetType):
        return _plain(set)
    if not isinstance(kind, inspect.ListType):
        return None if item is None else copy.deepcopy
    if item is None:
        return _plain(list)

    def copied(value: Any) -> Any:
        new = copy.copy(value)
        new[:] = map(item, value)
        return new

    return copied


def _union_copier(kind: inspect.UnionType, seen: dict[type, Copier]) -> Copier | None:
    """Which member a value is of, only the value can tell; one that is of none of their very classes is looked into."""
    changing = {_class_of(each): how for each in kind.types if (how := _copier(each, seen)) is not None}
    if not changing:
        return None

    def copied(value: Any) -> Any:
        if (how := changing.get(type(value))) is not None:
            return how(value)
        return value if type(value) in _PLAIN else copy.deepcopy(value)

    return copied


def _class_of(kind: inspect.Type) -> Any:
    """The class that values of a type are instances of: of a list, dict, set or struct; `object` for any other."""
    match kind:
        case inspect.Metadata():
            return _class_of(kind.type)
        case inspect.ListType():
            return list
        case inspect.DictType():
            return dict
        case inspect.SetType():
            return set
        case inspect.StructType():
            return get_origin(kind.cls) or kind.cls
        case _:
            return object
