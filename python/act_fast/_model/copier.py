"""Copies of states, deep enough that nobody shares what can change. How is decided once, from a class's fields.

What a state holds in two places is one object in the copy, too: a reducer that changes it in one place changes it in
the other, however often the state was copied before. So the same events give the same state, folded one by one or all
at once.
"""

import copy
from collections.abc import Callable
from typing import Any, Final, TypeAlias, get_origin

import msgspec
from msgspec import inspect
from msgspec.structs import force_setattr

__all__ = ["Copier", "copier_of"]

Copier: TypeAlias = Callable[[Any], Any]

_Memo: TypeAlias = dict[int, Any]
"""What was copied already, by its id: that of `copy.deepcopy`."""

_Part: TypeAlias = Callable[[Any, _Memo], Any]

# Straight to where `copy.copy` would end up.
_shallow: Final[Copier] = msgspec.Struct.__copy__  # type: ignore[attr-defined]

_PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes))


def copier_of(cls: type) -> Copier:
    """A function that copies instances of a struct class: 60 ns when no field can change by itself."""
    kind = inspect.type_info(cls)
    if isinstance(kind, inspect.StructType) and (fields := _plain_fields(kind)):
        return _plainly_with(fields)
    part = _part(kind, {})
    return _shallow if part is None or part is _shallowly else lambda value: part(value, {})


def _plain_fields(kind: inspect.StructType) -> list[tuple[str, Copier]]:
    """The fields of a struct that can change, if none of them could hold what another one does."""
    parts = {each.name: (each.type, part) for each in kind.fields if (part := _part(each.type, {})) is not None}
    classes = [_class_of(each) for each, _ in parts.values()]
    plain = all(getattr(part, "plain", False) for _, part in parts.values())
    if not plain or len(set(classes)) < len(classes):
        return []
    return [(name, _plain(cls)) for name, cls in zip(parts, classes, strict=True)]


def _part(kind: inspect.Type, seen: dict[type, _Part]) -> _Part | None:
    """How to copy values of a type; None when they cannot change, so that they may be shared."""
    match kind:
        case inspect.Metadata():
            return _part(kind.type, seen)
        case inspect.UnionType():
            return _union_part(kind, seen)
        case inspect.DictType():
            return _dict_part(_part(kind.value_type, seen))
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
            return _list_part(kind, _part(kind.item_type, seen))
        case inspect.TupleType():
            return copy.deepcopy if any(_part(each, seen) for each in kind.item_types) else None
        case inspect.StructType():
            return _struct_part(kind, seen)
        case inspect.AnyType() | inspect.ByteArrayType() | inspect.MemoryViewType() | inspect.DataclassType():
            return copy.deepcopy
        case inspect.TypedDictType() | inspect.NamedTupleType() | inspect.CustomType():
            return copy.deepcopy
        case _:
            return None


def _struct_part(kind: inspect.StructType, seen: dict[type, _Part]) -> _Part | None:
    if kind.cls in seen:
        return lambda value, memo: seen[kind.cls](value, memo)
    frozen = _class_of(kind).__struct_config__.frozen
    seen[kind.cls] = _shallowly
    fields = [(each.name, part) for each in kind.fields if (part := _part(each.type, seen)) is not None]
    if not fields:
        del seen[kind.cls]
        return None if frozen else _shallowly
    seen[kind.cls] = _struct_with(fields, force_setattr if frozen else setattr)
    return seen[kind.cls]


def _shallowly(value: Any, memo: _Memo) -> Any:
    new = memo.get(id(value))
    if new is None:
        new = memo[id(value)] = _shallow(value)
    return new


def _plainly_with(fields: list[tuple[str, Copier]]) -> Copier:
    def copied(value: Any) -> Any:
        new = _shallow(value)
        for name, how in fields:
            force_setattr(new, name, how(getattr(value, name)))
        return new

    return copied


def _struct_with(fields: list[tuple[str, _Part]], set_field: Callable[[Any, str, Any], None]) -> _Part:
    def copied(value: Any, memo: _Memo) -> Any:
        new = memo.get(id(value))
        if new is None:
            new = memo[id(value)] = value.__copy__()
            for name, part in fields:
                set_field(new, name, part(getattr(value, name), memo))
        return new

    return copied


def _plain(kind: type[Any]) -> Copier:
    """Copies collections of what cannot change, without the search by which `copy.copy` finds out how."""

    def copied(value: Any) -> Any:
        return value.copy() if type(value) is kind else copy.copy(value)

    return copied


def _plain_part(kind: type[Any]) -> _Part:
    def copied(value: Any, memo: _Memo) -> Any:
        new = memo.get(id(value))
        if new is None:
            new = memo[id(value)] = value.copy() if type(value) is kind else copy.copy(value)
        return new

    copied.plain = True  # type: ignore[attr-defined]
    return copied


def _dict_part(item: _Part | None) -> _Part:
    if item is None:
        return _plain_part(dict)

    def copied(value: Any, memo: _Memo) -> Any:
        new = memo.get(id(value))
        if new is None:
            new = memo[id(value)] = copy.copy(value)
            for key, each in new.items():
                new[key] = item(each, memo)
        return new

    return copied


def _list_part(kind: inspect.Type, item: _Part | None) -> _Part | None:
    if isinstance(kind, inspect.SetType):
        return _plain_part(set)
    if not isinstance(kind, inspect.ListType):
        return None if item is None else copy.deepcopy
    if item is None:
        return _plain_part(list)

    def copied(value: Any, memo: _Memo) -> Any:
        new = memo.get(id(value))
        if new is None:
            new = memo[id(value)] = copy.copy(value)
            new[:] = [item(each, memo) for each in value]
        return new

    return copied


def _union_part(kind: inspect.UnionType, seen: dict[type, _Part]) -> _Part | None:
    """Which member a value is of, only the value can tell; one that is of none of their very classes is looked into."""
    changing = {_class_of(each): part for each in kind.types if (part := _part(each, seen)) is not None}
    if not changing:
        return None

    def copied(value: Any, memo: _Memo) -> Any:
        if (part := changing.get(type(value))) is not None:
            return part(value, memo)
        return value if type(value) in _PLAIN else copy.deepcopy(value, memo)

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
