"""From declarations to fields: which accumulator is kept in which field, and what is computed from which."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias, Union

import msgspec

from act_fast._declared.tree import Accumulator, Between, Constant, Feed, Negated, Number, Tree
from act_fast._declared.value_types import NUMBERS, Typed, arithmetic, called, type_of
from act_fast.errors import DefinitionError

__all__ = ["Computed", "Formula", "Kept", "Minus", "Plan", "Ref", "Step", "plan_of"]


class Ref(msgspec.Struct, frozen=True, tag="ref"):
    """The field that an accumulator is kept in."""

    field: str


class Step(msgspec.Struct, frozen=True, tag="step"):
    """Arithmetic over fields."""

    op: str
    left: "Formula"
    right: "Formula"


class Minus(msgspec.Struct, frozen=True, tag="minus"):
    """Minus a number."""

    of: "Formula"


Formula: TypeAlias = Ref | Step | Minus | Constant
"""What a computed field is computed by."""


class Kept(msgspec.Struct, frozen=True):
    """An accumulator that is kept in a field."""

    accumulator: Accumulator
    type: Typed

    @property
    def events(self) -> frozenset[Any]:
        """The events that it takes values of."""
        return frozenset(feed.event for feed in self.accumulator.feeds)


class Computed(msgspec.Struct, frozen=True):
    """A field that is recomputed when one of those it is made of has changed."""

    formula: Formula
    type: Typed
    needs: frozenset[str]


class Plan(msgspec.Struct, frozen=True):
    """The declared fields of a state.

    Attributes:
        trees: what was declared, by field.
        kept: the fields that take values in, also those that only serve others.
        computed: the fields that are computed from these.
        hidden: the fields that only serve others, which the class does not declare itself.
    """

    trees: dict[str, Tree]
    kept: dict[str, Kept]
    computed: dict[str, Computed]
    hidden: tuple[str, ...]

    @property
    def events(self) -> list[Any]:
        """The events that concern some field, in the order they are named."""
        return list(dict.fromkeys(feed.event for kept in self.kept.values() for feed in kept.accumulator.feeds))

    @property
    def fields(self) -> dict[str, Typed]:
        """Every field with its type."""
        return {name: each.type for name, each in (self.kept | self.computed).items()}


def plan_of(state: str, trees: Mapping[str, Tree]) -> Plan:
    """Decide where each accumulator is kept: in its own field, or in a hidden one where only arithmetic needs it.

    Raises:
        DefinitionError: a declaration does not make sense.
    """
    flat = {name: _flat(f"{state}.{name}", tree) for name, tree in trees.items()}
    kept = {
        name: Kept(tree, _type_of(f"{state}.{name}", tree))
        for name, tree in flat.items()
        if isinstance(tree, Accumulator)
    }
    computed: dict[str, Computed] = {}
    hidden: list[str] = []
    for name, tree in flat.items():
        if isinstance(tree, Accumulator):
            continue
        place = f"{state}.{name}"
        formula = _formula(place, name, tree, kept, hidden)
        if not (needs := _needs(formula)):
            raise DefinitionError(f"{place} is made of numbers alone; declare it with an event, or write the number")
        computed[name] = Computed(formula, _formula_type(place, formula, kept), needs)
    return Plan(dict(trees), kept, computed, tuple(hidden))


def _flat(place: str, tree: Tree) -> Tree:
    """A tree in which sums and differences of sums are one sum, to be kept in one field."""
    match tree:
        case Negated():
            of = _flat(place, tree.of)
            if isinstance(of, Number):
                return Number(_number(-of.constant.value))
            return _minus(of) if _is_sum(of) else Negated(of)
        case Between():
            left, right = _flat(place, tree.left), _flat(place, tree.right)
            both = [_as_sum(each) for each in (left, right)]
            if tree.op in ("+", "-") and None not in both:
                return _joined(tree.op, *both)  # type: ignore[arg-type]
            return Between(tree.op, left, right)
        case _:
            return tree


def _is_sum(tree: Tree) -> bool:
    return isinstance(tree, Accumulator) and tree.kind == "sum"


def _as_sum(tree: Tree) -> Accumulator | None:
    if isinstance(tree, Number):
        return Accumulator("sum", (), tree.constant)
    return tree if isinstance(tree, Accumulator) and tree.kind == "sum" else None


def _minus(tree: Any) -> Accumulator:
    feeds = tuple(Feed(each.event, each.value, each.where, not each.minus) for each in tree.feeds)
    return Accumulator("sum", feeds, _number(-tree.start.value))


def _joined(op: str, left: Accumulator, right: Accumulator) -> Tree:
    right = _minus(right) if op == "-" else right
    start = _number(left.start.value + right.start.value)
    feeds = left.feeds + right.feeds
    return Accumulator("sum", feeds, start) if feeds else Number(start)


def _number(value: Any) -> Constant:
    return Constant(value, type(value).__name__)


def _type_of(place: str, tree: Accumulator) -> Typed:
    found = [_feed_type(place, tree.kind, feed) for feed in tree.feeds]
    if tree.kind == "sum":
        whole = Typed(*_numeric(tree.start.value), False)
        for each in found:
            whole = arithmetic(place, "+", whole, each, True)
        return whole._replace(nullable=False)
    sorts = {each.sort for each in found}
    if len(sorts) > 1:
        kinds = " and ".join(sorted({called(each.hint) for each in found}))
        raise DefinitionError(f"{place}: {tree.kind} takes fields of one type, not {kinds}")
    hints = list(dict.fromkeys(each.hint for each in found))
    hint: Any = hints[0] if len(hints) == 1 else Union[tuple(hints)]  # noqa: UP007
    if tree.kind in ("collect", "distinct"):
        return Typed("other", list[hint], False)
    return Typed(found[0].sort, hint, True)


def _feed_type(place: str, kind: str, feed: Feed) -> Typed:
    if feed.where is not None and type_of(place, feed.event, feed.where).sort != "bool":
        raise DefinitionError(f"{place}: where= must be a condition, such as `lambda e: e.amount > 0`")
    found = Typed("int", int, False) if feed.value is None else type_of(place, feed.event, feed.value)
    if kind == "sum" and found.sort not in NUMBERS:
        raise DefinitionError(f"{place}: total takes numbers, not {called(found.hint)}; count(..., where=...) counts")
    return found


def _numeric(value: Any) -> tuple[Any, Any]:
    if isinstance(value, Decimal):
        return "decimal", Decimal
    return ("float", float) if isinstance(value, float) else ("int", int)


def _formula(place: str, name: str, tree: Tree, kept: dict[str, Kept], hidden: list[str]) -> Formula:
    match tree:
        case Number():
            return tree.constant
        case Negated():
            return Minus(_formula(place, name, tree.of, kept, hidden))
        case Between():
            left = _formula(place, name, tree.left, kept, hidden)
            return Step(tree.op, left, _formula(place, name, tree.right, kept, hidden))
        case Accumulator():
            for field, known in kept.items():
                if known.accumulator == tree:
                    return Ref(field)
            number = 1 + sum(each.startswith(f"_{name}_") for each in hidden)
            field = f"_{name}_{number}"
            kept[field] = Kept(tree, _type_of(place, tree))
            hidden.append(field)
            return Ref(field)


def _formula_type(place: str, formula: Formula, kept: Mapping[str, Kept]) -> Typed:
    match formula:
        case Ref():
            return kept[formula.field].type
        case Constant():
            return Typed(*_numeric(formula.value), False)
        case Minus():
            found = _formula_type(place, formula.of, kept)
            if found.sort not in NUMBERS:
                raise DefinitionError(f"{place}: - takes a number, not {called(found.hint)}")
            return found
        case Step():
            left, right = (_formula_type(place, each, kept) for each in (formula.left, formula.right))
            never_zero = isinstance(formula.right, Constant) and bool(formula.right.value)
            return arithmetic(place, formula.op, left, right, never_zero)


def _needs(formula: Formula) -> frozenset[str]:
    match formula:
        case Ref():
            return frozenset((formula.field,))
        case Minus():
            return _needs(formula.of)
        case Step():
            return _needs(formula.left) | _needs(formula.right)
        case _:
            return frozenset()
