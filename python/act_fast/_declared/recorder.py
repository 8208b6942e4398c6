"""Recording: a function of an event is called once, with a stand-in that writes down what is done to it."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NoReturn, TypeVar, cast
from uuid import UUID

from act_fast._checks.error_text import error_text
from act_fast._declared.tree import Binary, Constant, Leaf, Negative, Node, Not, OneOf
from act_fast.errors import DefinitionError

__all__ = ["Recorder", "constant_of", "one_of", "record"]

T = TypeVar("T")

_CONSTANTS: Final = (bool, int, float, str, type(None), Decimal, Enum, datetime, date, time, timedelta, UUID)
_INT_MAX: Final = 2**63 - 1


def record(place: str, function: Callable[[Any], object], event: type[Any]) -> Node:
    """What a function does with an event, as a tree.

    Args:
        place: how to call the function in an error.
        function: the function.
        event: the class of the events that it is for.

    Raises:
        DefinitionError: it does what cannot be recorded.
    """
    try:
        found = function(Recorder(Leaf(()), f"{place} of {event.__qualname__}"))
    except DefinitionError:
        raise
    except Exception as error:
        raise DefinitionError(f"{place} of {event.__qualname__} cannot be recorded: {error_text(error)}") from None
    if not isinstance(found, Recorder):
        raise DefinitionError(
            f"{place} of {event.__qualname__} gives the same for every event, {type(found).__name__};"
            " `is`, `in` and `if` cannot be recorded: write `==` and `one_of(value, ...)`"
        )
    return found.__node__


def one_of(value: T, option: T, /, *options: T) -> bool:
    """Whether a value of an event is one of some constants; for `where=` in declared fields, where `in` does not work.

    sales: int = count(Placed, where=lambda e: one_of(e.kind, "sale", "gift"))
    """
    if not isinstance(value, Recorder):
        return value in (option, *options)
    place = value.__place__
    return cast(bool, Recorder(OneOf(value.__node__, tuple(constant_of(place, x) for x in (option, *options))), place))


def constant_of(place: str, value: object) -> Constant:
    """A value as a constant of the tree."""
    if not isinstance(value, _CONSTANTS):
        raise DefinitionError(f"{place}: {type(value).__name__} cannot be used in a declaration; write a reducer")
    if isinstance(value, int) and not -_INT_MAX - 1 <= value <= _INT_MAX:
        raise DefinitionError(f"{place}: a whole number in a declaration has at most 64 bits")
    if isinstance(value, float) and value - value != 0:
        raise DefinitionError(f"{place}: {value!r} cannot be used in a declaration")
    return Constant(value, type(value).__name__)


def _node(place: str, value: object) -> Node:
    return value.__node__ if isinstance(value, Recorder) else constant_of(place, value)


def _binary(op: str, turned: bool = False) -> Callable[[Any, object], Any]:
    def apply(self: "Recorder", other: object) -> "Recorder":
        left, right = self.__node__, _node(self.__place__, other)
        return Recorder(Binary(op, right, left) if turned else Binary(op, left, right), self.__place__)

    return apply


def _refused(what: str, hint: str) -> Callable[..., NoReturn]:
    def refuse(self: "Recorder", *_: object) -> NoReturn:
        raise DefinitionError(f"{self.__place__}: {what} cannot be recorded; {hint}")

    return refuse


class Recorder:
    """Stands in for an event, or for a value of one, and writes down what is done to it."""

    __slots__ = ("__node__", "__place__")

    __node__: Node
    __place__: str

    def __init__(self, node: Node, place: str) -> None:
        self.__node__ = node
        self.__place__ = place

    def __getattr__(self, name: str) -> "Recorder":
        if name.startswith("__"):
            raise AttributeError(name)
        node = self.__node__
        if not isinstance(node, Leaf):
            raise DefinitionError(f"{self.__place__}: .{name} is only available on the event's fields")
        return Recorder(Leaf((*node.path, name)), self.__place__)

    def __neg__(self) -> "Recorder":
        return Recorder(Negative(self.__node__), self.__place__)

    def __invert__(self) -> "Recorder":
        return Recorder(Not(self.__node__), self.__place__)

    __add__, __radd__ = _binary("+"), _binary("+", True)
    __sub__, __rsub__ = _binary("-"), _binary("-", True)
    __mul__, __rmul__ = _binary("*"), _binary("*", True)
    __truediv__, __rtruediv__ = _binary("/"), _binary("/", True)
    __floordiv__, __rfloordiv__ = _binary("//"), _binary("//", True)
    __mod__, __rmod__ = _binary("%"), _binary("%", True)
    __and__, __rand__ = _binary("&"), _binary("&", True)
    __or__, __ror__ = _binary("|"), _binary("|", True)
    __eq__ = cast(Callable[[object, object], bool], _binary("=="))
    __ne__ = cast(Callable[[object, object], bool], _binary("!="))
    __lt__, __le__, __gt__, __ge__ = _binary("<"), _binary("<="), _binary(">"), _binary(">=")

    __bool__ = _refused("`and`, `or`, `not`, `if` and `in`", "write `&`, `|`, `~` and `one_of(value, ...)`")
    __hash__ = cast(Any, _refused("a set or a dict", "write `one_of(value, ...)`"))
    __contains__ = _refused("`in`", "write `one_of(value, ...)`, or a reducer")
    __iter__ = __len__ = __getitem__ = _refused("looking into a collection", "write a reducer")
    __call__ = _refused("a call", "write a reducer")
    __str__ = __format__ = cast(Any, _refused("text made of a value", "write a reducer"))
    __int__ = __float__ = __index__ = __round__ = __abs__ = _refused("a conversion", "write a reducer")
    __pow__ = __rpow__ = _refused("`**`", "write a reducer")
