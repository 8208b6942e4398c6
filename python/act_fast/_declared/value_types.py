"""Of which types the values in a declaration are: read from the event classes, and carried through the arithmetic."""

import types
import typing
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from act_fast._declared.tree import Binary, Constant, Leaf, Negative, Node, Not, OneOf
from act_fast._events.personal import marks_of
from act_fast.errors import DefinitionError

__all__ = ["COMPARISONS", "Sort", "Typed", "arithmetic", "called", "type_of"]

Sort: TypeAlias = Literal["int", "float", "decimal", "str", "bool", "none", "other"]
"""What can be done with a value."""

NUMBERS: Final = ("int", "float", "decimal")
COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_SORTS: Final[dict[Any, Sort]] = {int: "int", float: "float", Decimal: "decimal", str: "str", bool: "bool"}


class Typed(NamedTuple):
    """The type of a value.

    Attributes:
        sort: what can be done with it.
        hint: its annotation, without None.
        nullable: whether it may be None.
    """

    sort: Sort
    hint: Any
    nullable: bool

    @property
    def annotation(self) -> Any:
        """Its annotation, with None where it may be."""
        return self.hint | None if self.nullable else self.hint


def type_of(place: str, event: type[Any], node: Node) -> Typed:
    """The type of a value of an event.

    Raises:
        DefinitionError: there is no such field, or what is done to it cannot be done.
    """
    match node:
        case Leaf():
            return _field_type(place, event, node.path)
        case Constant():
            return _constant_type(node)
        case Negative():
            found = type_of(place, event, node.of)
            if found.sort not in NUMBERS:
                raise DefinitionError(f"{place}: - takes a number, not {called(found.hint)}")
            return found
        case Not():
            _check_condition(place, "~", type_of(place, event, node.of))
            return _HOLDS
        case OneOf():
            found = type_of(place, event, node.of)
            for option in node.options:
                _check_comparable(place, "==", found, _constant_type(option))
            return _HOLDS
        case Binary():
            left, right = type_of(place, event, node.left), type_of(place, event, node.right)
            return _binary_type(place, node.op, left, right, _never_zero(node.right))


def arithmetic(place: str, op: str, left: Typed, right: Typed, never_zero: bool) -> Typed:
    """The type of what arithmetic makes of two numbers."""
    sorts = {left.sort, right.sort}
    for each in (left, right):
        if each.sort not in NUMBERS:
            raise DefinitionError(f"{place}: {op} takes numbers, not {called(each.hint)}")
    if sorts == {"float", "decimal"}:
        raise DefinitionError(f"{place}: float {op} Decimal is not exact; make both of one type")
    nullable = left.nullable or right.nullable or (op in ("/", "//", "%") and not never_zero)
    if "decimal" in sorts:
        return Typed("decimal", Decimal, nullable)
    if op == "/" or "float" in sorts:
        return Typed("float", float, nullable)
    return Typed("int", int, nullable)


def called(hint: Any) -> str:
    """A type as one writes it."""
    return hint.__qualname__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


_HOLDS: Final = Typed("bool", bool, False)


def _binary_type(place: str, op: str, left: Typed, right: Typed, never_zero: bool) -> Typed:
    if op in ("&", "|"):
        _check_condition(place, op, left)
        _check_condition(place, op, right)
        return _HOLDS
    if op in COMPARISONS:
        _check_comparable(place, op, left, right)
        return _HOLDS
    return arithmetic(place, op, left, right, never_zero)


def _check_condition(place: str, op: str, found: Typed) -> None:
    if found.sort != "bool":
        raise DefinitionError(f"{place}: {op} takes conditions, not {called(found.hint)}; parenthesize comparisons")


def _check_comparable(place: str, op: str, left: Typed, right: Typed) -> None:
    sorts = {left.sort, right.sort}
    same = len(sorts) == 1 or sorts <= set(NUMBERS) or "other" in sorts
    if op in ("==", "!="):
        same = same or "none" in sorts
    elif sorts & {"none", "bool"}:
        same = False
    if not same:
        raise DefinitionError(f"{place}: {called(left.hint)} {op} {called(right.hint)} cannot be compared like that")


def _never_zero(node: Node) -> bool:
    return isinstance(node, Constant) and bool(node.value)


def _constant_type(node: Constant) -> Typed:
    kind = type(node.value)
    if node.value is None:
        return Typed("none", type(None), False)
    return Typed(_SORTS.get(kind, "other"), kind, False)


def _field_type(place: str, event: type[Any], path: tuple[str, ...]) -> Typed:
    if not path:
        raise DefinitionError(f"{place}: the event itself is not a value; take one of its fields")
    hint: Any = event
    nullable = False
    for at, name in enumerate(path):
        inside = f"{event.__qualname__}{''.join(f'.{each}' for each in path[:at])}"
        hint = _field_hint(place, inside, hint, name)
        hint, optional = _plain(hint)
        nullable = nullable or optional
    return Typed(_sort(hint), hint, nullable)


def _field_hint(place: str, inside: str, owner: Any, name: str) -> Any:
    cls = typing.get_origin(owner) or owner
    if not isinstance(cls, type) or not issubclass(cls, msgspec.Struct):
        raise DefinitionError(f"{place}: {inside} is {called(owner)}, which has no fields to name; write a reducer")
    try:
        fields = {each.name: each.type for each in msgspec.structs.fields(owner)}
    except NameError as error:
        raise DefinitionError(f"{place}: the annotation {error.name!r} is not defined yet; define it above") from None
    if name not in fields:
        raise DefinitionError(f"{place}: {inside} has no field {name!r}; it has {', '.join(fields) or 'none'}")
    return fields[name]


def _plain(hint: Any) -> tuple[Any, bool]:
    """An annotation without what says nothing of its values' kind, and whether it admits None."""
    hint = getattr(hint, "__value__", hint)  # `type Euros = int`
    hint = getattr(hint, "__supertype__", hint)  # NewType
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        inner, optional = _plain(typing.get_args(hint)[0])
        return inner, optional or marks_of(hint).personal  # what was forgotten gives nothing, as None does
    if origin in (typing.Union, types.UnionType):
        members = typing.get_args(hint)
        some = [each for each in members if each is not type(None)]
        if len(some) == 1:
            return _plain(some[0])[0], True
        return typing.Union[tuple(some)], len(some) < len(members)  # noqa: UP007
    return hint, False


def _sort(hint: Any) -> Sort:
    if typing.get_origin(hint) is Literal:
        kinds = {type(each) for each in typing.get_args(hint)}
        return _SORTS.get(kinds.pop(), "other") if len(kinds) == 1 else "other"
    return _SORTS.get(hint, "other") if isinstance(hint, type) else "other"
