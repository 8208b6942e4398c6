"""Targets seen and handled by hand."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from act_fast import Act, Committed, Target, ValidationError
from act_fast._reactions.targets import targets
from tests.support.bank import Account, Deposited, Opened
from tests.support.heard import Heard, deposit


@pytest.fixture
def four(app: Act) -> Act:
    """Targets a, b, c and mail-a, all with work."""
    app.on(Deposited, name="own")(Heard())
    app.on(Opened, to="mail-{stream}", name="mail")(Heard())
    deposit(app, *"abc")
    app.do(Account.open, "a", owner="Ada")
    app.correlate()
    return app


def names(found: Any) -> list[str]:
    return [target.name for target in found]


def test_all_that_is_known_of_a_target(four: Act) -> None:
    four.drain()
    assert next(four.targets("a")) == Target(
        name="a",
        lane="default",
        priority=0,
        watermark=4,
        mark=1,
        lag=0,
        holder=None,
        lease_seconds=None,
        attempts=0,
        failing=None,
        blocked=False,
        error=None,
        due=None,
        reactions=("own",),
        known=True,
    )


def test_by_name_list_pattern_or_lane(four: Act) -> None:
    assert names(four.targets()) == ["a", "b", "c", "mail-a"]
    assert names(four.targets("b")) == ["b"]
    assert names(four.targets(["c", "a"])) == ["c", "a"]
    assert names(four.targets(pattern="a")) == ["a", "mail-a"]
    assert names(four.targets(lane="default", pattern="^mail")) == ["mail-a"]
    assert names(four.targets(lane="other")) == []


def test_page_by_page(four: Act) -> None:
    assert names(four.targets(limit=2)) == ["a", "b"]
    assert names(four.targets(after="b", limit=2)) == ["c", "mail-a"]
    assert names(four.targets(limit=0)) == []


def test_a_walk_goes_beyond_the_first_page(app: Act) -> None:
    app.on(Deposited, to=lambda event: (f"t{number}" for number in range(2500)), name="many")(Heard())
    deposit(app, "a")
    app.correlate()
    assert len(set(names(app.targets()))) == 2500
    assert len(names(app.targets(limit=1500))) == 1500
    app.block(pattern="")
    assert len(names(app.blocked())) == 2500


def test_a_target_that_is_not_there_is_an_error(four: Act) -> None:
    with pytest.raises(ValidationError, match='no target "x"'):
        four.targets("x")
    with pytest.raises(ValidationError, match='no target "x"'):
        four.reset(["a", "x"])


VERBS: list[Callable[[Act], int]] = [
    lambda app: app.reset(),
    lambda app: app.block(),
    lambda app: app.defer(until=datetime.now(UTC)),
    lambda app: app.prioritize(priority=1),
]


@pytest.mark.parametrize("verb", VERBS, ids=["reset", "block", "defer", "prioritize"])
def test_what_changes_targets_must_be_told_which(four: Act, verb: Callable[[Act], int]) -> None:
    with pytest.raises(ValidationError, match="must be told which targets"):
        verb(four)


def test_a_reset_delivers_everything_again(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", name="all")(heard)
    deposit(app, "a", "b")
    app.settle()
    assert app.reset("all") == 1
    (target,) = app.targets()
    assert (target.watermark, target.lag) == (0, 2)
    app.settle()
    assert heard.positions == [1, 2, 1, 2]


def test_only_those_meant_are_reset(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    deposit(app, *"abc")
    app.settle()
    heard.events.clear()
    assert app.reset(pattern="^[ab]$") == 2
    app.settle()
    assert sorted(heard.places) == [("a", 1), ("b", 1)]


def test_a_block_by_hand_says_why_and_holds(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    deposit(app, "a")
    app.correlate()
    assert app.block("a", error="the bank is closed") == 1
    app.settle()
    assert heard.events == []
    assert [(target.name, target.error) for target in app.blocked()] == [("a", "the bank is closed")]
    assert app.unblock() == 1
    assert app.unblock() == 0
    app.settle()
    assert heard.positions == [1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda app: app.targets(pattern="("), "pattern"),
        (lambda app: app.targets(limit=-1), "limit must not be negative"),
        (lambda app: app.targets(names=5), "names must be a sequence"),
        (lambda app: app.targets(blocked="yes"), "blocked must be True or False"),
        (lambda app: app.defer("a", until=datetime(2026, 1, 1)), "until must be timezone-aware"),
        (lambda app: app.prioritize("a", 2**31), "32 bits"),
        (lambda app: app.prioritize("a", 1.5), "32 bits"),
        (lambda app: app.wait_for(-1, "a"), "position must not be negative"),
        (lambda app: app.wait_for(1, ""), "name is empty"),
        (lambda app: app.settle(passes=-1), "passes must not be negative"),
        (lambda app: app.drain(concurrency="many"), "concurrency must be a whole number"),
        (lambda app: app.run(grace=-1), "grace must not be negative"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused(four: Act, call: Callable[[Any], object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        call(four)


def test_waiting_for_a_target_that_is_there_already(app: Act) -> None:
    app.on(Deposited, to="all", name="all")(Heard())
    deposit(app, "a")
    app.settle()
    assert app.wait_for(1, "all", timeout=0).watermark == 1
    assert app.wait_for(0, "all").name == "all"


def test_waiting_for_what_was_just_written(app: Act) -> None:
    app.on(Deposited, to="all", name="all")(Heard())
    snapshot = app.do(Account.deposit, "a", amount=1)
    worker = threading.Thread(target=app.run)
    worker.start()
    try:
        assert app.wait_for(snapshot, "all", timeout=30).watermark >= snapshot.position
        app.do(Account.open, "a", owner="Ada")
        snapshot = app.do(Account.open, "b", owner="Ada")
        assert app.wait_for(snapshot, "all", timeout=30).watermark >= snapshot.position, "what concerns nobody is done"
    finally:
        app.stop()
        worker.join()


def test_waiting_in_vain_says_how_far_the_target_is_and_why(app: Act) -> None:
    app.on(Deposited, to="all", retries=0, name="all")(lambda event: 1 / 0)
    with pytest.raises(TimeoutError, match="has come to position 0, not yet to 5; is a worker running"):
        app.wait_for(5, "all", timeout=0.01)
    deposit(app, "a")
    app.settle()
    with pytest.raises(TimeoutError, match="has come to position 0, not yet to 1; it is blocked: ZeroDivisionError"):
        app.wait_for(1, "all", timeout=0.01)


def test_something_with_a_target_can_be_waited_for(app: Act) -> None:
    class Projection:
        target = "all"

    app.on(Deposited, to="all", name="all")(Heard())
    deposit(app, "a")
    app.settle()
    assert app.wait_for(1, Projection(), timeout=1).name == "all"


def test_targets_can_be_looked_at_without_an_app(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, "a")
    app.correlate()
    store: Any = app.store
    (target,) = targets(store.reactions())
    assert (target.name, target.known) == ("a", False)


def test_the_name_of_a_reaction_is_what_progress_is_stored_under(app: Act) -> None:
    heard = Heard()

    @app.on(Deposited, to="all", name="kept")
    def before(event: Committed[Deposited]) -> None: ...

    deposit(app, "a")
    app.settle()
    later = Act(app.store, Account)
    later.on(Deposited, to="all", name="kept")(heard)
    deposit(app, "a")
    later.settle()
    assert heard.positions == [2]
