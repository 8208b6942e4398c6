"""What can go wrong in a drain, one test each."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from act_fast import Act, Committed, ConcurrencyError, Drained, Lane, NonRetryableError, Snapshot, ValidationError
from tests.support.bank import Account, Deposited, Opened, Withdrawn
from tests.support.heard import Heard, deposit
from tests.support.working import working


def test_no_ack_past_an_event_while_another_reaction_on_it_has_not_run(app: Act) -> None:
    first, second = Heard(), Heard()

    def fails(event: Committed[Deposited]) -> None:
        second(event)
        if len(second.events) == 1:
            raise ValueError("not yet")

    app.on(Deposited, to="all", backoff=0, name="first")(first)
    app.on(Deposited, to="all", backoff=0, name="second")(fails)
    deposit(app, "a", "b")
    app.correlate()
    assert app.drain() == Drained(leased=1, retried=1)
    (target,) = app.targets()
    assert target.watermark == 0
    app.settle()
    assert (first.positions, second.positions) == ([1, 1, 2], [1, 1, 2])


def test_no_ack_past_the_history_of_a_reaction_that_is_still_being_correlated(app: Act) -> None:
    first, late = Heard(), Heard()
    app.on(Deposited, to="all", name="first")(first)
    deposit(app, *"abcdefgh")
    app.settle()
    deposit(app, "i")
    app.correlate()
    app.on(Deposited, to="all", name="late")(late)
    while not app.correlate(limit=3).caught_up:
        app.drain()
    app.settle()
    assert late.positions == first.positions == list(range(1, 10))


def test_no_ack_past_the_history_of_a_reaction_that_comes_in_the_middle_of_a_cycle(app: Act) -> None:
    late = Heard()
    heard = Heard()

    @app.on(Deposited, to="all")
    def first(event: Committed[Deposited]) -> None:
        heard(event)
        if event.position == 3:
            app.on(Deposited, to="all", name="late")(late)
            app.correlate()

    deposit(app, *"abc")
    app.settle()
    app.settle()
    assert late.positions == [1, 2, 3]


def test_a_block_after_an_ack_is_not_dropped(app: Act) -> None:
    app.on(Deposited, to="all", retries=0, name="all")(lambda event: 1 // (event.position - 2))
    deposit(app, *"abc")
    app.correlate()
    assert app.drain() == Drained(leased=1, handled=1, acked=1, blocked=1)
    (blocked,) = app.blocked()
    assert (blocked.watermark, blocked.failing) == (1, 2)


def test_a_wake_up_during_the_last_pass_is_not_lost(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    port = app._program.port()
    plain = port.claim
    asleep = threading.Event()

    def claim(*given: object) -> object:
        """Just when the worker has looked and found nothing, something happens."""
        found = plain(*given)  # type: ignore[arg-type]
        if not found and not asleep.is_set():
            asleep.set()
            deposit(app, "a")
        return found

    port.claim = claim  # type: ignore[method-assign, assignment]
    with working(app):
        heard.await_count(1)


def test_a_wake_up_during_the_last_pass_of_settle_is_not_lost(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="count", name="count")(heard)
    app.on(Opened, to="opened", name="opened")(lambda event: deposit(app, "a"))
    app.do(Account.open, "a", owner="Ada")
    app.settle()
    assert heard.positions == [2]


def test_a_window_of_irrelevant_events_is_no_end(app: Act) -> None:
    heard = Heard()
    app.on(Withdrawn, to="all", source="^b$", name="all")(heard)
    for stream in "ab":
        app.do(Account.open, stream, owner="Ada")
        deposit(app, *[stream] * 600)
        for _ in range(600):
            app.do(Account.withdraw, stream, amount=1)
    app.settle()
    assert len(heard.events) == 600


def test_a_lease_stolen_mid_handler_does_not_acknowledge(app: Act) -> None:
    thief = Act(app.store, Account)
    heard, stolen = Heard(), Heard()

    @app.on(Deposited, to="all", name="own")
    def slow(event: Committed[Deposited]) -> None:
        heard(event)
        if len(heard.events) == 1:
            thief.block("all", error="stolen")
            thief.unblock("all")
            assert thief.settle().drained == Drained(leased=1, handled=2, acked=1)

    thief.on(Deposited, to="all", name="own")(stolen)
    deposit(app, "a", "b")
    app.correlate()
    assert app.drain() == Drained(leased=1, lost=1)
    assert stolen.positions == [1, 2]
    assert app.settle().drained == Drained()
    thief.close()


def test_there_are_no_leases_of_no_length() -> None:
    with pytest.raises(ValidationError, match="must be more than 0 seconds"):
        Lane("default", lease=0.0)
    with Act("memory:", Account, lanes=[Lane("default", lease=0.0001)]) as app:
        heard = Heard()
        app.on(Deposited, name="own")(heard)
        deposit(app, "a")
        assert app.settle().drained == Drained(leased=1, handled=1, acked=1)


def test_deferrals_and_retries_are_remembered_after_a_restart(tmp_path: Path) -> None:
    def app_at(path: Path) -> Act:
        app = Act(path, Account)
        app.on(Deposited, to="deferred", defer=timedelta(hours=1), name="deferred")(Heard())
        app.on(Deposited, to="failing", backoff=60, name="failing")(lambda event: 1 / 0)
        app.on(Deposited, to="blocked", retries=0, name="blocked")(lambda event: 1 / 0)
        return app

    with app_at(tmp_path / "bank.act") as app:
        deposit(app, "a")
        app.settle()
        before = {target.name: target for target in app.targets()}
    with app_at(tmp_path / "bank.act") as app:
        assert {target.name: target for target in app.targets()} == before
        assert before["deferred"].due is not None
        assert before["failing"].due is not None
        assert (before["failing"].attempts, before["blocked"].blocked) == (1, True)
        assert app.settle().drained == Drained()


def test_a_cached_state_is_no_guard_without_its_version(app: Act) -> None:
    deposit(app, "a")
    other = Act(app.store, Account)
    deposit(other, "a")
    with pytest.raises(ConcurrencyError):
        app.expecting(1).do(Account.deposit, "a", amount=1)
    assert app.load(Account, "a").version == 2


def test_a_cache_entry_is_not_written_past_events_that_it_did_not_fold(app: Act) -> None:
    @app.on(Opened)
    def gift(event: Committed[Opened]) -> None:
        snapshot: Snapshot[Account] = app.do(Account.deposit, event.stream, amount=5)
        assert (snapshot.version, snapshot.state.balance, snapshot.state.events) == (3, 6, 3)

    app.do(Account.open, "a", owner="Ada")
    other = Act(app.store, Account)
    deposit(other, "a")
    assert app.settle().drained.handled == 1
    assert app.load(Account, "a").state == other.load(Account, "a").state


def test_a_priority_and_a_lane_are_not_overwritten_by_a_later_weaker_subscription() -> None:
    with Act("memory:", Account, lanes=[Lane("fast")]) as app:
        app.on(Deposited, to="same", source="strong", priority=5, lane="fast", name="strong")(Heard())
        app.on(Deposited, to="same", source="weak", name="weak")(Heard())
        deposit(app, "strong", "weak")
        app.settle()
        (target,) = app.targets()
        assert (target.priority, target.lane) == (5, "fast")


def test_a_literal_source_does_not_also_read_what_begins_like_it(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", source="s1", name="s1")(heard)
    deposit(app, "s12", "s1", "s1-2")
    app.settle()
    assert heard.places == [("s1", 1)]


def test_an_error_in_an_observer_does_not_fail_the_commit_it_observed(app: Act) -> None:
    app.observe("committed", lambda snapshot: 1 / 0)
    app.on(Opened, name="gift")(lambda event: deposit(app, "gift"))
    app.do(Account.open, "a", owner="Ada")
    assert app.settle().drained == Drained(leased=1, handled=1, acked=1)
    assert app.load(Account, "gift").state.balance == 1


def test_a_walk_over_targets_goes_beyond_the_first_page(app: Act) -> None:
    app.on(Deposited, to=lambda event: [f"t{n}" for n in range(1100)], retries=0, name="many")(lambda event: 1 / 0)
    deposit(app, "a")
    assert app.settle().drained.blocked == 1100
    assert len(list(app.blocked())) == 1100
    assert app.unblock() == 1100


def test_position_and_version_0_are_not_taken_for_missing(app: Act) -> None:
    app.on(Deposited, to="all", name="all")(Heard())
    assert [each.position for each in app.cursors()] == [0]
    deposit(app, "a")
    app.correlate()
    (target,) = app.targets()
    assert (target.watermark, target.mark) == (0, 1)
    assert app.wait_for(0, "all", timeout=1).watermark == 0
    assert app.expecting(0).do(Account.deposit, "b", amount=1).version == 1


def test_a_failure_in_the_middle_of_a_batch_of_events_of_many_targets_fails_one_target_only(app: Act) -> None:
    @app.on(Deposited, retries=0)
    def picky(event: Committed[Deposited]) -> None:
        if event.stream == "c" and event.version == 2:
            raise NonRetryableError("picky")

    deposit(app, *"abcdeabcdeabcde")
    assert app.settle().drained == Drained(leased=5, handled=13, acked=5, blocked=1)
    assert [(target.name, target.failing) for target in app.blocked()] == [("c", 8)]
