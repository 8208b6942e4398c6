"""Declared fields are, to a type checker, what they hold; and what does not fit is reported."""

from datetime import datetime
from typing import assert_type

from act_fast import Act, Event, State, collect, count, distinct, first, last, maximum, minimum, one_of, total


class Sold(Event):
    amount: int
    kind: str
    at: datetime
    weight: float = 1.0
    tip: int | None = None


class Refunded(Event):
    amount: int


class Till(State):
    takings: int = total(Sold.amount) - total(Refunded.amount)
    weight: float = total(Sold.weight)
    tips: int = total(Sold.tip)
    twice: int = total(Sold, lambda e: e.amount * 2, where=lambda e: (e.amount > 3) & one_of(e.kind, "sale", "gift"))
    sales: int = count(Sold, where=lambda e: e.kind == "sale")
    events: int = count(Sold, Refunded)
    first_at: datetime | None = first(Sold.at)
    last_tip: int | None = last(Sold.tip)
    least: int | None = minimum(Sold.amount, Refunded.amount)
    most: float | None = maximum(Sold, lambda e: e.weight * 2)
    kinds: list[str] = distinct(Sold.kind, most=9)
    tip_list: list[int] = collect(Sold.tip)
    average: float | None = total(Sold.amount) / count(Sold)


def what_they_give() -> None:
    assert_type(total(Sold.amount), int)
    assert_type(total(Sold.tip), int)
    assert_type(total(Sold, lambda e: e.weight), float)
    assert_type(count(Sold, Refunded), int)
    assert_type(first(Sold.at), datetime | None)
    assert_type(last(Sold, lambda e: e.kind), str | None)
    assert_type(collect(Sold.kind), list[str])
    assert_type(distinct(Sold, lambda e: e.tip), list[int])


def what_does_not_fit() -> None:
    total(Sold.kind)  # type: ignore[call-overload, type-var, unused-ignore]
    total(Sold, lambda e: e.nothing)  # type: ignore[attr-defined, unused-ignore]
    last(Sold, lambda e: e.nothing)  # type: ignore[attr-defined, unused-ignore]
    count(Sold, where=lambda e: e.nothing)  # type: ignore[attr-defined]
    collect(Sold.kind, most="9")  # type: ignore[call-overload]


class Wrong(State):
    takings: str = total(Sold.amount)  # type: ignore[assignment, type-var, unused-ignore]
    least: int = minimum(Sold.amount)  # type: ignore[assignment]
    kinds: list[int] = collect(Sold.kind)  # type: ignore[arg-type, assignment, call-overload, unused-ignore]


def a_replay_knows_its_state(app: Act) -> None:
    for stream, snapshot in app.replay(Till, streams="^till-", at=5, after="till-1", progress=True):
        assert_type(stream, str)
        assert_type(snapshot.state, Till)
        assert_type(snapshot.state.takings, int)
    app.replay(Sold)  # type: ignore[type-var]
    app.replay(Till, at="now")  # type: ignore[arg-type]
