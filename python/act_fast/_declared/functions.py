"""Declared fields: `balance: int = total(Deposited.amount) - total(Withdrawn.amount)` in the body of a state class."""

from collections.abc import Callable, Collection
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from types import MemberDescriptorType
from typing import Any, Final, TypeVar, cast, overload
from uuid import UUID

import msgspec

from act_fast._checks import arguments
from act_fast._declared.recorder import constant_of, record
from act_fast._declared.tree import Accumulator, Between, Feed, Kind, Leaf, Negated, Number, Tree
from act_fast._events.event import Event
from act_fast.errors import DefinitionError, ValidationError

__all__ = ["Declared", "collect", "count", "distinct", "first", "last", "maximum", "minimum", "total"]

E = TypeVar("E", bound=Event)
N = TypeVar("N", bound="int | float | Decimal")
T = TypeVar("T")
V = TypeVar(
    "V",
    bound="int | float | Decimal | str | date | time | timedelta | UUID | Enum | msgspec.Struct | Collection[Any]",
)

_COLLECT_MOST: Final = 100
_DISTINCT_MOST: Final = 1000


class Declared:
    """A field's declaration; takes the field's place in the class body until the class is created.

    Attributes:
        tree: what it says.
    """

    __slots__ = ("tree",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def __neg__(self) -> "Declared":
        return Declared(Negated(self.tree))

    def __add__(self, other: object) -> "Declared":
        return _between("+", self, other)

    def __radd__(self, other: object) -> "Declared":
        return _between("+", other, self)

    def __sub__(self, other: object) -> "Declared":
        return _between("-", self, other)

    def __rsub__(self, other: object) -> "Declared":
        return _between("-", other, self)

    def __mul__(self, other: object) -> "Declared":
        return _between("*", self, other)

    def __rmul__(self, other: object) -> "Declared":
        return _between("*", other, self)

    def __truediv__(self, other: object) -> "Declared":
        return _between("/", self, other)

    def __rtruediv__(self, other: object) -> "Declared":
        return _between("/", other, self)

    def __floordiv__(self, other: object) -> "Declared":
        return _between("//", self, other)

    def __rfloordiv__(self, other: object) -> "Declared":
        return _between("//", other, self)

    def __mod__(self, other: object) -> "Declared":
        return _between("%", self, other)

    def __rmod__(self, other: object) -> "Declared":
        return _between("%", other, self)

    def __bool__(self) -> bool:
        raise DefinitionError(
            "a declared field has no value while its class is made, so `and`, `or`, `not` and `if` do not work"
            " there; put conditions into where="
        )


@overload
def total(event: type[E], value: Callable[[E], N | None], /, *, where: Callable[[E], object] | None = None) -> N: ...
@overload
def total(field: N | None, /, *more: N | None, where: Callable[[Any], object] | None = None) -> N: ...
def total(*fields: Any, where: Callable[[Any], object] | None = None) -> Any:
    """Declare a field as the sum of a field of events.

    Written in the body of a state class, it says what the field holds, and you need no reducer for it:

        class Account(State):
            balance: int = total(Deposited.amount) - total(Withdrawn.amount)
            spent: int = total(Placed, lambda e: e.item.price * e.item.quantity, where=lambda e: e.kind == "sale")

    A value of None is ignored. Integers have 64 bits: a sum that does not fit is a `FoldError`.

    Args:
        fields: fields of events, as `Deposited.amount`; or an event class, and a function of such an event. The
            function is called once, with a stand-in that records what it does: it may take fields, also nested ones,
            and combine them with `+ - * / // %`. Dividing by zero gives None.
        where: only count events that meet this condition, a function that is recorded too. It may use `== != < <= >
            >=`, `&`, `|`, `~` and `one_of`.

    Raises:
        DefinitionError: the function does something that cannot be recorded.
    """
    return Declared(Accumulator("sum", _feeds("total", fields, where)))


@overload
def count(event: type[E], /, *, where: Callable[[E], object] | None = None) -> int: ...
@overload
def count(
    event: type[Event], second: type[Event], /, *more: type[Event], where: Callable[[Any], object] | None = None
) -> int: ...
def count(*events: type[Any], where: Callable[[Any], object] | None = None) -> Any:
    """Declare a field as the number of events of one class, or of several.

    Args:
        events: the classes.
        where: only count events that meet this condition, as for `total`.
    """
    for event in events:
        _check_event("count", event)
    if not events:
        raise DefinitionError("count() counts events; name an event class")
    return Declared(Accumulator("sum", tuple(Feed(each, None, _where("count", where, each)) for each in events)))


@overload
def first(
    event: type[E], value: Callable[[E], T | None], /, *, where: Callable[[E], object] | None = None
) -> T | None: ...
@overload
def first(field: V | None, /, *more: V | None, where: Callable[[Any], object] | None = None) -> V | None: ...
def first(*fields: Any, where: Callable[[Any], object] | None = None) -> Any:
    """Declare a field as the first value that is not None, or None. The arguments are as for `total`."""
    return _declared("first", fields, where)


@overload
def last(
    event: type[E], value: Callable[[E], T | None], /, *, where: Callable[[E], object] | None = None
) -> T | None: ...
@overload
def last(field: V | None, /, *more: V | None, where: Callable[[Any], object] | None = None) -> V | None: ...
def last(*fields: Any, where: Callable[[Any], object] | None = None) -> Any:
    """Declare a field as the last value that is not None, or None. The arguments are as for `total`."""
    return _declared("last", fields, where)


@overload
def minimum(
    event: type[E], value: Callable[[E], T | None], /, *, where: Callable[[E], object] | None = None
) -> T | None: ...
@overload
def minimum(field: V | None, /, *more: V | None, where: Callable[[Any], object] | None = None) -> V | None: ...
def minimum(*fields: Any, where: Callable[[Any], object] | None = None) -> Any:
    """Declare a field as the least value; None until there is one. The arguments are as for `total`."""
    return _declared("minimum", fields, where)


@overload
def maximum(
    event: type[E], value: Callable[[E], T | None], /, *, where: Callable[[E], object] | None = None
) -> T | None: ...
@overload
def maximum(field: V | None, /, *more: V | None, where: Callable[[Any], object] | None = None) -> V | None: ...
def maximum(*fields: Any, where: Callable[[Any], object] | None = None) -> Any:
    """Declare a field as the greatest value; None until there is one. The arguments are as for `total`."""
    return _declared("maximum", fields, where)


@overload
def collect(
    event: type[E],
    value: Callable[[E], T | None],
    /,
    *,
    most: int = _COLLECT_MOST,
    where: Callable[[E], object] | None = None,
) -> list[T]: ...
@overload
def collect(
    field: V | None, /, *more: V | None, most: int = _COLLECT_MOST, where: Callable[[Any], object] | None = None
) -> list[V]: ...
def collect(*fields: Any, most: int = _COLLECT_MOST, where: Callable[[Any], object] | None = None) -> Any:
    """Declare a field as the list of the last values, in the order of their events.

    Args:
        fields: as for `total`; a value of None is left out.
        most: how many to keep; once there are more, the oldest is dropped.
        where: as for `total`.
    """
    return _declared("collect", fields, where, most)


@overload
def distinct(
    event: type[E],
    value: Callable[[E], T | None],
    /,
    *,
    most: int = _DISTINCT_MOST,
    where: Callable[[E], object] | None = None,
) -> list[T]: ...
@overload
def distinct(
    field: V | None, /, *more: V | None, most: int = _DISTINCT_MOST, where: Callable[[Any], object] | None = None
) -> list[V]: ...
def distinct(*fields: Any, most: int = _DISTINCT_MOST, where: Callable[[Any], object] | None = None) -> Any:
    """Declare a field as the list of distinct values, in the order of their first appearance.

    Args:
        fields: as for `total`; a value of None is left out.
        most: how many there may be. One more is a `FoldError`, since leaving one out would make the list wrong.
        where: as for `total`.
    """
    return _declared("distinct", fields, where, most)


def _declared(kind: Kind, fields: tuple[Any, ...], where: Callable[[Any], object] | None, most: int = 0) -> Declared:
    if kind in ("collect", "distinct"):
        try:
            arguments.count("most", most)
        except ValidationError as error:
            raise DefinitionError(f"{kind}: {error}") from None
        if not most:
            raise DefinitionError(f"{kind}: most= must be at least 1")
    return Declared(Accumulator(kind, _feeds(kind, fields, where), most=most))


def _feeds(kind: str, fields: tuple[Any, ...], where: Callable[[Any], object] | None) -> tuple[Feed, ...]:
    form = f"write {kind}(SomeEvent.field), or {kind}(SomeEvent, lambda e: e.field)"
    if not fields:
        raise DefinitionError(f"{kind}() takes fields of events; {form}")
    if isinstance(fields[0], type):
        event = fields[0]
        _check_event(kind, event)
        if len(fields) != 2 or not callable(fields[1]) or isinstance(fields[1], type):
            raise DefinitionError(f"{kind}({event.__qualname__}) names no value; {form}")
        value = record(f"the function of {kind}", fields[1], event)
        return (Feed(event, value, _where(kind, where, event)),)
    return tuple(_feed_of_field(kind, each, where, form) for each in fields)


def _feed_of_field(kind: str, field: object, where: Callable[[Any], object] | None, form: str) -> Feed:
    if not isinstance(field, MemberDescriptorType):
        raise DefinitionError(f"{kind}: {type(field).__name__} is not a field of an event; {form}")
    event: Any = field.__objclass__
    name = field.__name__
    _check_event(f"{kind}({event.__qualname__}.{name})", event)
    if event.__subclasses__():
        # The field of a class that inherits it is the very same object, so nobody could tell which one is meant.
        heirs = ", ".join(each.__qualname__ for each in event.__subclasses__())
        raise DefinitionError(
            f"{kind}: {name!r} is a field of {event.__qualname__}, which {heirs} inherits, so it is unclear"
            f" which of them is meant; write {kind}(SomeEvent, lambda e: e.{name})"
        )
    return Feed(event, Leaf((name,)), _where(kind, where, event))


def _where(kind: str, where: Callable[[Any], object] | None, event: type[Any]) -> Any:
    return None if where is None else record(f"where= of {kind}", where, event)


def _check_event(kind: str, event: object) -> None:
    if not isinstance(event, type) or not issubclass(event, Event) or event is Event:
        called = event.__qualname__ if isinstance(event, type) else repr(event)
        raise DefinitionError(f"{kind}: {called} is not an event class")


def _between(op: str, left: object, right: object) -> Declared:
    return Declared(Between(op, _tree(op, left), _tree(op, right)))


def _tree(op: str, value: object) -> Tree:
    if isinstance(value, Declared):
        return value.tree
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise DefinitionError(f"{op} between declared fields takes numbers, not {type(value).__name__}")
    return Number(cast(Any, constant_of(f"{op} between declared fields", value)))
