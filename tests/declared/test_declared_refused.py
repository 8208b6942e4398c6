"""Declarations that cannot be meant are refused when the class is made, with a sentence that says what to write."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from act_fast import (
    Act,
    DefinitionError,
    Event,
    State,
    collect,
    count,
    distinct,
    last,
    maximum,
    minimum,
    one_of,
    total,
)


class Line(msgspec.Struct, frozen=True):
    price: int


class Base(Event):
    amount: int


class Heir(Base):
    more: int


class Sold(Event):
    amount: int
    kind: str
    at: datetime
    line: Line
    lines: list[Line]
    gift: bool
    weight: float
    paid: Decimal
    either: int | str = 0


def declare(value: Any, annotation: Any = int) -> type[State]:
    return type(State)(
        "Shop", (State,), {"__annotations__": {"field": annotation}, "field": value, "__module__": __name__}
    )


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: total(), "takes fields of events"),
    (lambda: total(5), "int is not a field of an event"),
    (lambda: total(Sold), "names no value"),
    (lambda: total(Sold, 5), "names no value"),
    (lambda: total(Base.amount), r"Heir inherits.*lambda e: e\.amount"),
    (lambda: total(Heir.amount), r"Heir inherits.*lambda e: e\.amount"),
    (lambda: total(Line.price), "Line is not an event class"),
    (lambda: count(Line), "Line is not an event class"),
    (lambda: count(), "name an event class"),
    (lambda: count(Event), "Event is not an event class"),
    (lambda: total(Sold.kind), "total takes numbers, not str"),
    (lambda: total(Sold.gift), "count.*where"),
    (lambda: total(Sold, lambda e: e.nothing), "no field 'nothing'; it has amount, kind"),
    (lambda: total(Sold, lambda e: e.line.cost), r"Sold\.line has no field 'cost'"),
    (lambda: total(Sold, lambda e: e.kind.upper), "str, which has no fields"),
    (lambda: last(Sold, lambda e: e.kind.upper()), "a call cannot be recorded; write a reducer"),
    (lambda: last(Sold, lambda e: e), "the event itself is not a value"),
    (lambda: last(Sold, lambda e: 5), "same for every event"),
    (lambda: last(Sold, lambda e: f"{e.kind}"), "text made of a value cannot be recorded"),
    (lambda: last(Sold, lambda e: str(e.kind)), "text made of a value cannot be recorded"),
    (lambda: last(Sold, lambda e: e.lines[0]), "looking into a collection"),
    (lambda: last(Sold, lambda e: len(e.lines)), "looking into a collection"),
    (lambda: last(Sold, lambda e: int(e.weight)), "conversion"),
    (lambda: last(Sold, lambda e: e.amount**2), r"`\*\*` cannot be recorded"),
    (lambda: last(Sold, lambda e: (e.amount + 1).real), "on the event's fields"),
    (lambda: last(Sold, lambda e: e.amount + object()), "object cannot be used in a declaration"),
    (lambda: last(Sold, lambda e: e.amount + 2**63), "at most 64 bits"),
    (lambda: last(Sold, lambda e: e.weight + float("inf")), "cannot be used in a declaration"),
    (lambda: last(Sold, lambda e: 1 / 0), "ZeroDivisionError"),
    (lambda: count(Sold, where=lambda e: e.amount > 1 and e.gift), r"write `&`, `\|`, `~`"),
    (lambda: count(Sold, where=lambda e: not e.gift), r"write `&`, `\|`, `~`"),
    (lambda: count(Sold, where=lambda e: 1 if e.gift else 0), r"write `&`, `\|`, `~`"),
    (lambda: count(Sold, where=lambda e: e.kind in ("a", "b")), "one_of"),
    (lambda: count(Sold, where=lambda e: e.kind in {"a", "b"}), "one_of"),
    (lambda: count(Sold, where=lambda e: e.kind is None), "same for every event.*`is`"),
    (lambda: count(Sold, where=lambda e: e.amount), "must be a condition"),
    (lambda: count(Sold, where=lambda e: e.amount & 1), "takes conditions, not int"),
    (lambda: count(Sold, where=lambda e: ~e.amount), "takes conditions, not int"),
    (lambda: count(Sold, where=lambda e: e.kind > 5), "str > int cannot be compared like that"),
    (lambda: count(Sold, where=lambda e: e.kind == 5), "str == int cannot be compared like that"),
    (lambda: count(Sold, where=lambda e: e.amount < None), "cannot be compared like that"),
    (lambda: count(Sold, where=lambda e: e.gift < True), "cannot be compared like that"),
    (lambda: count(Sold, where=lambda e: one_of(e.kind, 5)), "cannot be compared like that"),
    (lambda: total(Sold, lambda e: e.kind * 2), r"\* takes numbers, not str"),
    (lambda: total(Sold, lambda e: -e.kind), "- takes a number, not str"),
    (lambda: total(Sold, lambda e: e.paid * e.weight), "float . Decimal is not exact"),
    (lambda: total(Sold.paid) + total(Sold.weight), "is not exact"),
    (lambda: last(Sold.kind) + count(Sold), "takes numbers, not str"),
    (lambda: -last(Sold.kind), "takes a number, not str"),
    (lambda: count(Sold) + "one", "takes numbers, not str"),
    (lambda: count(Sold) and 5, "`and`, `or`"),
    (lambda: maximum(Sold.amount, Sold.kind), "fields of one type, not int and str"),
    (lambda: total(Sold.either), "total takes numbers"),
    (lambda: collect(Sold.amount, most=0), "at least 1"),
    (lambda: distinct(Sold.amount, most=-1), "most must"),
]


@pytest.mark.parametrize(("value", "what"), REFUSED)
def test_what_cannot_be_meant_is_refused(value: Callable[[], Any], what: str) -> None:
    with pytest.raises(DefinitionError, match=what):
        declare(value())


@pytest.mark.parametrize(
    ("value", "annotation", "written"),
    [
        (lambda: total(Sold.amount), str, "int"),
        (lambda: total(Sold.amount), float, "int"),
        (lambda: total(Sold.weight), int, "float"),
        (lambda: last(Sold.kind), str, r"str \| None"),
        (lambda: minimum(Sold.at), datetime, r"datetime \| None"),
        (lambda: count(Sold) / total(Sold.amount), float, r"float \| None"),
        (lambda: collect(Sold.amount), list[str], r"list\[int\]"),
        (lambda: total(Sold.paid), float, "Decimal"),
    ],
)
def test_an_annotation_that_does_not_admit_what_the_field_holds_is_refused(
    value: Callable[[], Any], annotation: Any, written: str
) -> None:
    with pytest.raises(DefinitionError, match=rf"Shop\.field will hold .*write `field: {written} = \.\.\.`"):
        declare(value(), annotation)


@pytest.mark.parametrize("annotation", [Any, int | None, int | str])
def test_an_annotation_may_admit_more(annotation: Any) -> None:
    assert declare(total(Sold.amount), annotation)().field == 0  # type: ignore[attr-defined]


def test_a_declaration_without_an_annotation_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Shop\.balance has no annotation"):

        class Shop(State):
            balance = total(Sold.amount)


def test_a_declaration_in_an_event_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Wrong\.balance"):

        class Wrong(Event):
            balance: int = total(Sold.amount)


def test_the_field_of_an_heir_is_its_own_when_it_is_named_with_it() -> None:
    class Shop(State):
        amount: int = total(Heir, lambda e: e.amount)

    with Act("memory:", Shop, unknown="skip") as app:
        app.store.append("one", [Base(1), Heir(2, 3)])
        assert app.load(Shop, "one").state.amount == 2


def test_a_hidden_field_takes_no_ones_place() -> None:
    with pytest.raises(DefinitionError, match=r"_average_1.*rename it"):

        class Shop(State):
            _average_1: int = 0
            average: float | None = count(Sold) / total(Sold.amount)


def test_an_event_that_another_state_folds_is_refused_by_the_app() -> None:
    class One(State):
        sold: int = count(Sold)

    class Two(State):
        amount: int = total(Sold.amount)

    with pytest.raises(DefinitionError, match="an event belongs to one state"):
        Act("memory:", One, Two)
