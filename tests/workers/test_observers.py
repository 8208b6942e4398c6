"""Observers of reactions are told what has become of targets, and cannot spoil it."""

import logging
from typing import Any

import pytest

from act_fast import Acked, Act, Blocked, Claimed, Correlation, Drained, Settled
from tests.support.bank import Deposited
from tests.support.heard import Heard, deposit


def test_each_step_of_a_target_is_told(app: Act) -> None:
    told: list[Any] = []
    app.observe("claimed", told.append)
    app.observe("acked", told.append)
    app.observe("settled", told.append)
    app.on(Deposited, name="own")(Heard())
    deposit(app, "a", "a")
    app.settle()
    drained = Drained(leased=1, handled=2, acked=1)
    assert told == [
        Claimed("a", events=2, attempts=1, lagging=True),
        Acked("a", position=2, events=2),
        Settled(2, Correlation(examined=2, subscribed=1, marked=2), drained),
    ]


@pytest.mark.parametrize("kind", ["claimed", "acked", "blocked", "settled", "error"])
def test_an_observer_that_raises_breaks_nothing(app: Act, kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("oops")

    told: list[Any] = []
    app.observe(kind, broken)
    app.observe(kind, told.append)
    heard = Heard()
    app.on(Deposited, to="good-{stream}", name="good")(heard)
    app.on(Deposited, to="bad", retries=0, name="bad")(lambda event: 1 / 0)
    deposit(app, "a", "b")
    with caplog.at_level(logging.ERROR):
        app.settle()
    assert sorted(heard.positions) == [1, 2]
    assert [target.name for target in app.blocked()] == ["bad"]
    assert told
    assert f"an observer of {kind!r} raised" in caplog.text


def test_what_is_blocked_is_told_with_its_error(app: Act) -> None:
    told: list[Blocked] = []
    app.observe("blocked", told.append)
    app.on(Deposited, to="bad", retries=0, name="bad")(lambda event: 1 / 0)
    deposit(app, "a")
    app.settle()
    assert told == [Blocked("bad", position=1, attempts=1, error="ZeroDivisionError: division by zero")]
