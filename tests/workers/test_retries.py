"""Failing, trying again, giving up."""

import time
from typing import Any

import pytest

from act_fast import Act, Backoff, Blocked, Committed, Drained, Failure, NonRetryableError
from tests.support.bank import Deposited
from tests.support.heard import Heard, deposit
from tests.support.processes import until


class Failing(Heard):
    """Fails on events of some amounts, until it is healed."""

    def __init__(self, *amounts: int, error: Exception | None = None) -> None:
        super().__init__()
        self.amounts = set(amounts)
        self.error = error or ValueError("not this one")

    def __call__(self, event: Committed[Any]) -> None:
        super().__call__(event)
        if event.data.amount in self.amounts:
            raise self.error


def test_an_event_is_tried_once_more_than_it_has_retries_and_then_its_target_is_blocked(app: Act) -> None:
    failing = Failing(2)
    app.on(Deposited, to="all", retries=3, backoff=0, name="all")(failing)
    for amount in (1, 2, 3):
        deposit(app, "a", amount=amount)
    assert app.settle().drained == Drained(leased=4, handled=1, acked=1, blocked=1, retried=3)
    assert failing.positions == [1, 2, 2, 2, 2]
    (blocked,) = app.blocked()
    assert (blocked.name, blocked.failing, blocked.attempts) == ("all", 2, 4)
    assert (blocked.watermark, blocked.lag) == (1, 2)
    assert blocked.error == "ValueError: not this one"


def test_without_retries_the_first_failure_blocks(app: Act) -> None:
    failing = Failing(1)
    app.on(Deposited, to="all", retries=0, name="all")(failing)
    deposit(app, "a")
    assert app.settle().drained.blocked == 1
    assert failing.positions == [1]


def test_a_failing_target_does_not_hold_up_its_neighbours(app: Act) -> None:
    failing = Failing(13)
    app.on(Deposited, retries=0, name="own")(failing)
    deposit(app, "bad", amount=13)
    deposit(app, "good", "bad", "good")
    app.settle()
    assert sorted(failing.places) == [("bad", 1), ("good", 1), ("good", 2)]
    assert [target.name for target in app.blocked()] == ["bad"]


def test_an_error_that_cannot_be_mended_blocks_at_once(app: Act) -> None:
    failing = Failing(1, error=NonRetryableError("no such customer"))
    app.on(Deposited, to="all", backoff=0, name="all")(failing)
    deposit(app, "a")
    app.settle()
    assert failing.positions == [1]
    assert [target.error for target in app.blocked()] == ["NonRetryableError: no such customer"]


def test_without_blocking_it_is_tried_for_ever(app: Act) -> None:
    failing = Failing(1, error=NonRetryableError("not yet"))
    app.on(Deposited, to="all", retries=0, backoff=0, block=False, name="all")(failing)
    deposit(app, "a")
    assert app.settle(passes=20).drained == Drained(leased=20, retried=20)
    assert not list(app.blocked())
    failing.amounts.clear()
    assert app.settle().drained.handled == 1


def test_a_retry_waits_as_long_as_the_backoff_says(app: Act) -> None:
    failing = Failing(1)
    app.on(Deposited, to="all", backoff=Backoff(first=60, longest=60, jitter=0), name="all")(failing)
    deposit(app, "a")
    before = time.time()
    assert app.settle().drained == Drained(leased=1, retried=1)
    (target,) = app.targets()
    assert target.due is not None
    assert before + 59 < target.due.timestamp() < time.time() + 61
    assert app.settle().drained == Drained()


def test_each_wait_is_longer_than_the_one_before(app: Act) -> None:
    failing = Failing(1)
    app.on(Deposited, to="all", backoff=Backoff(first=0.001, factor=1e6, longest=1000, jitter=0), name="all")(failing)
    deposit(app, "a")
    app.settle()
    until(lambda: app.settle() and len(failing.events) == 2)
    (target,) = app.targets()
    assert target.attempts == 2
    assert target.due is not None
    assert target.due.timestamp() > time.time() + 500


def test_what_was_handled_before_a_failure_is_not_handled_again(app: Act) -> None:
    failing = Failing(3)
    app.on(Deposited, to="all", retries=1, backoff=0, name="all")(failing)
    for amount in (1, 2, 3):
        deposit(app, "a", amount=amount)
    app.settle()
    assert failing.positions == [1, 2, 3, 3]


def test_unblocking_goes_on_at_the_event_that_failed_with_a_fresh_budget(app: Act) -> None:
    failing = Failing(2)
    app.on(Deposited, to="all", retries=1, backoff=0, name="all")(failing)
    for amount in (1, 2, 3):
        deposit(app, "a", amount=amount)
    app.settle()
    assert app.unblock() == 1
    app.settle()
    assert failing.positions == [1, 2, 2, 2, 2], "the budget is the same again"
    failing.amounts.clear()
    assert app.unblock("all") == 1
    app.settle()
    assert failing.positions[-2:] == [2, 3]
    assert not list(app.blocked())


def test_all_reactions_of_an_event_run_again_when_one_of_them_fails(app: Act) -> None:
    first, second = Heard(), Failing(1)
    app.on(Deposited, to="all", retries=1, backoff=0, name="first")(first)
    app.on(Deposited, to="all", retries=1, backoff=0, name="second")(second)
    deposit(app, "a")
    app.settle()
    assert (first.positions, second.positions) == ([1, 1], [1, 1])
    (blocked,) = app.blocked()
    assert blocked.lag == 2


@pytest.mark.parametrize("data", [b'{"amount":"much"}', b"{}"])
def test_an_event_that_does_not_decode_blocks_its_target_and_its_neighbours_go_on(app: Act, data: bytes) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    app.store.append("bad", [("Deposited", b'{"amount":1}'), ("Deposited", data)])
    deposit(app, "good")
    app.settle()
    assert sorted(heard.places) == [("bad", 1), ("good", 1)]
    (blocked,) = app.blocked()
    assert (blocked.name, blocked.failing) == ("bad", 2)
    assert str(blocked.error).startswith("the event does not decode: ")
    assert "amount" in str(blocked.error)


@pytest.mark.parametrize("error", [SystemExit(3), RecursionError(), AssertionError("no\nway\ud800")])
def test_whatever_a_handler_raises_is_a_failure(app: Act, error: Exception) -> None:
    app.on(Deposited, to="all", retries=0, name="all")(Failing(1, error=error))
    deposit(app, "a")
    app.settle()
    assert [str(target.error)[:9] for target in app.blocked()] == [type(error).__name__[:9]]


def test_an_error_that_cannot_say_what_it_is_blocks_all_the_same(app: Act) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    app.on(Deposited, to="all", retries=0, name="all")(Failing(1, error=Mute()))
    deposit(app, "a")
    app.settle()
    assert [target.error for target in app.blocked()] == ["Mute: it cannot say what went wrong"]


def test_a_failure_is_told_to_observers(app: Act, caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Failure] = []
    blocked: list[Blocked] = []
    app.observe("error", failures.append)
    app.observe("blocked", blocked.append)
    app.on(Deposited, to="all", retries=1, backoff=0, name="sum")(Failing(1))
    deposit(app, "a")
    app.settle()
    assert [each.doing for each in failures] == ["reaction 'sum' on 'all' at position 1"] * 2
    assert blocked == [Blocked("all", 1, 2, "ValueError: not this one")]
    assert "'all' is blocked at position 1: ValueError: not this one" in caplog.text


def test_a_def_that_gives_a_coroutine_is_refused(app: Act) -> None:
    async def waits(event: Committed[Deposited]) -> None: ...

    app.on(Deposited, to="all", name="all")(lambda event: waits(event))
    deposit(app, "a")
    app.settle()
    assert "returned a coroutine; write it as `async def`" in str([target.error for target in app.blocked()])


def test_interrupting_a_drain_keeps_what_was_done_and_frees_the_target(app: Act) -> None:
    heard = Heard()

    @app.on(Deposited, to="all")
    def interrupted(event: Committed[Deposited]) -> None:
        if event.data.amount == 2 and not app_interrupted:
            app_interrupted.append(True)
            raise KeyboardInterrupt
        heard(event)

    app_interrupted: list[bool] = []
    for amount in (1, 2, 3):
        deposit(app, "a", amount=amount)
    with pytest.raises(KeyboardInterrupt):
        app.settle()
    assert [target.holder for target in app.targets()] == [None]
    app.settle()
    assert heard.positions == [1, 2, 3]
