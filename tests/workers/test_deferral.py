"""Events that are handled only some time after they happened."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from act_fast import Act, Committed, Drained
from tests.support.bank import Deposited
from tests.support.heard import Heard, deposit
from tests.support.processes import until


def test_an_event_waits_from_its_own_time_not_from_now(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, defer=timedelta(hours=1), name="later")(heard)
    deposit(app, "a")
    (event,) = app.query()
    assert app.settle().drained == Drained(leased=1, deferred=1)
    (target,) = app.targets()
    assert target.due is not None
    assert timedelta(0) <= target.due - (event.created + timedelta(hours=1)) < timedelta(milliseconds=1)
    assert (target.attempts, target.error, target.blocked) == (0, None, False)
    assert app.settle().drained == Drained(), "a target that waits is not claimed"
    assert heard.positions == []


def test_a_deferred_event_is_handled_when_its_time_has_come(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, defer=timedelta(milliseconds=60), name="later")(heard)
    deposit(app, "a")
    until(lambda: app.settle() and heard.events)
    assert datetime.now(UTC) >= heard.events[0].created + timedelta(milliseconds=60)


def test_a_function_may_say_when(app: Act) -> None:
    heard = Heard()

    def when(event: Committed[Deposited]) -> datetime:
        return event.created + timedelta(hours=event.data.amount)

    app.on(Deposited, defer=when, name="later")(heard)
    deposit(app, "now", amount=0)
    deposit(app, "later", amount=1)
    assert app.settle().drained == Drained(leased=2, handled=1, acked=1, deferred=1)
    assert heard.places == [("now", 1)]


def test_what_comes_before_a_deferred_event_is_handled_and_what_follows_waits_too(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", defer=lambda event: event.created + timedelta(hours=event.data.amount), name="all")(
        heard
    )
    for amount in (0, 1, 0):
        deposit(app, "a", amount=amount)
    assert app.settle().drained == Drained(leased=1, handled=1, acked=1, deferred=1)
    assert heard.positions == [1]


def test_an_event_waits_for_all_of_its_reactions(app: Act) -> None:
    first, second = Heard(), Heard()
    app.on(Deposited, to="all", name="first")(first)
    app.on(Deposited, to="all", defer=timedelta(hours=1), name="second")(second)
    deposit(app, "a")
    app.settle()
    assert (first.positions, second.positions) == ([], [])


@pytest.mark.parametrize("when", [None, 5, datetime(2026, 1, 1)])
def test_a_function_that_gives_no_moment_blocks_its_target(app: Act, when: Any) -> None:
    app.on(Deposited, defer=lambda event: when, name="later")(Heard())
    deposit(app, "a")
    app.settle()
    assert "it must return a timezone-aware datetime" in str([target.error for target in app.blocked()])


def test_a_pause_by_hand_holds_a_target_until_its_time(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    deposit(app, "a", "b")
    app.correlate()
    assert app.defer("a", until=datetime.now(UTC) + timedelta(hours=1)) == 1
    app.settle()
    assert heard.places == [("b", 1)]
    assert app.defer("a", until=datetime.fromtimestamp(time.time() - 1, UTC)) == 1, "a time that has passed ends it"
    app.settle()
    assert heard.places == [("b", 1), ("a", 1)]
