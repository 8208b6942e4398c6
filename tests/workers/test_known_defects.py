"""Defects known from the system that this design comes from. None of them is to come back."""

import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from act_fast import Act, Committed, ConcurrencyError, Drained, LogStore, State, ValidationError
from tests.support.bank import Account, Deposited, Opened
from tests.support.heard import Heard, deposit
from tests.support.processes import until
from tests.support.working import working


def test_1_two_reactions_on_one_target_with_different_sources_are_both_delivered_and_settling_ends(app: Act) -> None:
    one, two = Heard(), Heard()
    app.on(Deposited, to="both", source="one", name="one")(one)
    app.on(Deposited, to="both", source="two", name="two")(two)
    deposit(app, "one", "two", "three", "two", "one")
    assert app.settle().drained.handled == 4
    assert (one.positions, two.positions) == ([1, 5], [2, 4])
    assert app.settle().drained == Drained()


def test_2_after_a_restore_reactions_start_again_by_themselves(tmp_path: Path) -> None:
    original, copy = tmp_path / "bank.act", tmp_path / "restored.act"
    with Act(original, Account) as app:
        app.on(Deposited, to="all", name="all")(Heard())
        deposit(app, "a")
        app.settle()
        deposit(app, "b", "c")
        app.correlate()
    shutil.copytree(original, copy)
    heard = Heard()
    with Act(copy, Account) as restored:
        restored.on(Deposited, to="all", name="all")(heard)
        with working(restored):
            heard.await_that(lambda: heard.positions[-2:] == [2, 3])
            deposit(restored, "d")
            heard.await_that(lambda: heard.positions[-1] == 4)


def test_2_also_without_what_was_kept_of_the_reactions(tmp_path: Path) -> None:
    original, copy = tmp_path / "bank.act", tmp_path / "restored.act"
    with Act(original, Account) as app:
        app.on(Deposited, to="all", name="all")(Heard())
        deposit(app, "a", "b")
        app.settle()
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("reactions", "index", "control"))
    heard = Heard()
    with Act(copy, Account) as restored:
        restored.on(Deposited, to="all", name="all")(heard)
        with working(restored):
            heard.await_count(2)
    assert heard.positions == [1, 2], "delivered again, in order"


def test_3_a_reaction_added_to_an_old_log_sees_its_history_without_another_commit(app: Act) -> None:
    first, late = Heard(), Heard()
    app.on(Deposited, to="same", name="first")(first)
    deposit(app, *"abc")
    app.settle()
    app.on(Deposited, to="same", name="late")(late)
    with working(app):
        late.await_count(3)
    assert (first.positions, late.positions) == ([1, 2, 3], [1, 2, 3])


def test_3_or_starts_now_if_asked(app: Act) -> None:
    late = Heard()
    deposit(app, *"abc")
    app.on(Deposited, to="same", start="now", name="late")(late)
    with working(app):
        until(lambda: [each.position for each in app.cursors()] == [3])
        deposit(app, "d")
        late.await_count(1)
    assert late.positions == [4]


def test_4_retries_and_deferrals_fire_on_time_by_themselves(app: Act) -> None:
    failing, deferred = Heard(), Heard()

    @app.on(Deposited, to="failing", backoff=0.05)
    def fails_once(event: Committed[Deposited]) -> None:
        failing(event)
        if len(failing.events) == 1:
            raise ValueError("not yet")

    app.on(Deposited, to="deferred", defer=timedelta(seconds=0.1), name="deferred")(deferred)
    with working(app):
        deposit(app, "a")
        failing.await_count(2)
        deferred.await_count(1)
    assert datetime.now(UTC) - deferred.events[0].created >= timedelta(seconds=0.1)


def test_5_of_two_creators_of_one_stream_exactly_one_wins(app: Act) -> None:
    together = threading.Barrier(2)
    outcomes: list[str] = []

    def create(owner: str) -> None:
        together.wait()
        try:
            app.expecting(0).do(Account.open, "a", owner=owner)
            outcomes.append("won")
        except ConcurrencyError:
            outcomes.append("lost")

    threads = [threading.Thread(target=create, args=(owner,)) for owner in ("Ada", "Ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost", "won"]


def test_6_an_unknown_action_or_an_unregistered_state_is_a_clear_error_also_inside_a_handler(app: Act) -> None:
    class Stranger(State):
        name: str = ""

    app.on(Deposited, to="a", retries=0, name="a")(lambda event: app.load(Stranger, "s"))
    app.on(Deposited, to="b", retries=0, name="b")(lambda event: app.do("deposit", "s"))  # type: ignore[arg-type]
    deposit(app, "a")
    app.settle()
    errors = {target.name: str(target.error) for target in app.blocked()}
    assert "Stranger is not a state of this app" in errors["a"]
    assert "'deposit' is not an action" in errors["b"]


def test_7_a_limit_of_0_gives_nothing_and_none_is_unlimited(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, *"abc")
    assert app.correlate(limit=0).examined == 0
    assert app.correlate(limit=None).examined == 3
    assert app.drain(limit=0) == Drained()
    assert app.settle(passes=0).passes == 0
    assert list(app.targets(limit=0)) == []
    assert len(list(app.targets(limit=None))) == 3
    assert app.drain(limit=None).leased == 3


def test_8_a_poison_event_gets_its_own_full_budget_once(app: Act) -> None:
    heard = Heard()

    @app.on(Deposited, to="all", retries=1, backoff=0)
    def poisoned(event: Committed[Deposited]) -> None:
        heard(event)
        if event.data.amount == 2:
            raise ValueError("poison")

    for amount in (1, 2, 3):
        deposit(app, "a", amount=amount)
    app.settle()
    assert heard.positions == [1, 2, 2], "the good one before it buys it no further attempt"
    assert [target.failing for target in app.blocked()] == [2]


def test_9_acknowledging_never_moves_a_watermark_back(app: Act) -> None:
    app.on(Deposited, to="all", name="all")(Heard())
    deposit(app, *"abc")
    app.settle()
    deposit(app, "d")
    app.correlate()
    program = app._program
    (lease,) = program.port().claim(None, 1, 0, 10, 1000, program.holder, 4)
    assert program.port().finish([(lease[0], lease[2], 1, "free", 0, 0, "")]) == [True]
    (target,) = app.targets()
    assert (target.watermark, target.lag) == (3, 1)


@pytest.mark.parametrize("kind", ["claimed", "acked", "blocked", "settled"])
def test_10_an_observer_that_throws_breaks_nothing_else(app: Act, kind: str) -> None:
    heard = Heard()
    app.observe(kind, lambda _: 1 / 0)  # type: ignore[call-overload]
    app.on(Deposited, name="own")(heard)
    app.on(Opened, retries=0, name="bad")(lambda event: 1 / 0)
    deposit(app, "a", "b")
    app.do(Account.open, "c", owner="Ada")
    app.settle()
    deposit(app, "a")
    app.settle()
    assert len(heard.events) == 3


def test_a_store_opened_read_only_cannot_react_and_says_so(tmp_path: Path) -> None:
    Act(tmp_path / "bank.act", Account).close()
    with LogStore(tmp_path / "bank.act", read_only=True) as store:
        app = Act(store, Account)
        app.on(Deposited, name="own")(Heard())
        with pytest.raises(Exception, match="reading only"):
            app.settle()


def test_the_name_of_a_lane_that_is_not_there_is_an_error(app: Act) -> None:
    with pytest.raises(ValidationError, match="there is no lane 'x'"):
        app.settle(lanes=["x"])
