"""What a declaration says, as a tree: values taken from events, accumulators over them, arithmetic between these."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

__all__ = [
    "Accumulator",
    "Between",
    "Binary",
    "Constant",
    "Feed",
    "Kind",
    "Leaf",
    "Negated",
    "Negative",
    "Node",
    "Not",
    "Number",
    "OneOf",
    "Tree",
    "trees_as_data",
]

Kind: TypeAlias = Literal["sum", "first", "last", "minimum", "maximum", "collect", "distinct"]
"""How an accumulator takes values in. A `count` is a sum of ones."""


class Leaf(msgspec.Struct, frozen=True, tag="leaf"):
    """A field of the event, or of what is nested in it."""

    path: tuple[str, ...]


class Constant(msgspec.Struct, frozen=True, tag="constant"):
    """A value that stands in the declaration; `of` keeps 1, 1.0 and True apart."""

    value: Any
    of: str


class Negative(msgspec.Struct, frozen=True, tag="negative"):
    """Minus a number."""

    of: "Node"


class Not(msgspec.Struct, frozen=True, tag="not"):
    """Whether a condition does not hold."""

    of: "Node"


class Binary(msgspec.Struct, frozen=True, tag="binary"):
    """Two values and what is between them: `+ - * / // %`, `== != < <= > >=`, `& |`."""

    op: str
    left: "Node"
    right: "Node"


class OneOf(msgspec.Struct, frozen=True, tag="one_of"):
    """Whether a value is one of some constants."""

    of: "Node"
    options: tuple[Constant, ...]


Node: TypeAlias = Leaf | Constant | Negative | Not | Binary | OneOf
"""A value of one event."""


class Feed(msgspec.Struct, frozen=True):
    """What one event class gives to an accumulator.

    Attributes:
        event: the event class.
        value: the value, None for a one.
        where: the condition under which it is given.
        minus: whether a sum takes it off.
    """

    event: Any
    value: Node | None
    where: Node | None
    minus: bool = False


class Accumulator(msgspec.Struct, frozen=True, tag="accumulator"):
    """What takes in the values of events, in their order.

    Attributes:
        kind: how.
        feeds: from which events.
        start: what a sum begins with.
        most: the most values that `collect` and `distinct` keep.
    """

    kind: Kind
    feeds: tuple[Feed, ...]
    start: Constant = Constant(0, "int")
    most: int = 0


class Number(msgspec.Struct, frozen=True, tag="number"):
    """A number that stands between accumulators."""

    constant: Constant


class Negated(msgspec.Struct, frozen=True, tag="negated"):
    """Minus an accumulator, or what is made of some."""

    of: "Tree"


class Between(msgspec.Struct, frozen=True, tag="between"):
    """Arithmetic between accumulators."""

    op: str
    left: "Tree"
    right: "Tree"


Tree: TypeAlias = Accumulator | Number | Negated | Between
"""What a declared field is."""


def trees_as_data(trees: Mapping[str, Tree]) -> Any:
    """Trees as what JSON is made of, with events by their stored names."""
    return msgspec.to_builtins(dict(trees), enc_hook=_stored_name, order="sorted")


def _stored_name(event: Any) -> str:
    found: str = event.__stored_name__
    return found
