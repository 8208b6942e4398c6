"""Closing books and pruning: folding goes on from the state that was held, and what lies below is emptied."""

import json
from pathlib import Path
from typing import Any

import pytest

from act_fast import (
    Act,
    ConcurrencyError,
    DefinitionError,
    Event,
    LogStore,
    PrunedError,
    State,
    StoreLockedError,
    StreamClosedError,
    Tag,
    ValidationError,
    reducer,
    total,
    verify_path,
)
from tests.support.bank import Account, Deposited


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """An app with two accounts, whose books are not closed yet."""
    with Act(str(tmp_path / "bank.act"), Account) as app:
        for stream in ("a-1", "a-2"):
            app.do(Account.open, stream, owner="Ada")
            for amount in (1, 2, 3):
                app.do(Account.deposit, stream, amount=amount)
        yield app


def again(app: Act) -> Act:
    """Another app on the same store, which has seen nothing yet."""
    return Act(app.store, Account)


def test_a_restart_goes_on_from_the_same_state(app: Act) -> None:
    before = app.load(Account, "a-1")
    restarted = app.restart_stream(Account, "a-1")
    assert (restarted.state, restarted.version, restarted.closed) == (before.state, before.version + 1, False)
    assert app.do(Account.deposit, "a-1", amount=4).state.balance == 10
    for each in (app, again(app)):
        assert each.load(Account, "a-1").state.balance == 10
        assert each.load(Account, "a-1", before=3).state.balance == 1
        assert [step.state.balance for step in each.history(Account, "a-1")] == [0, 1, 3, 6, 6, 10]


def test_what_is_carried_over_may_be_another_state(app: Act) -> None:
    app.restart_stream(Account, "a-1", carry=lambda state: Account(owner=state.owner))
    app.do(Account.deposit, "a-1", amount=4)
    for each in (app, again(app)):
        assert each.load(Account, "a-1").state == Account(owner="Ada", balance=4, events=1)
        assert dict(each.replay(Account))["a-1"].state == Account(owner="Ada", balance=4, events=1)
    assert app.sql("select stream, balance from account order by stream").fetchall() == [("a-1", 4), ("a-2", 6)]
    with pytest.raises(DefinitionError, match="carry="):
        app.restart_stream(Account, "a-1", carry=lambda state: None)  # type: ignore[arg-type,return-value]


def test_a_restart_is_refused_where_there_is_nothing_or_no_more(app: Act) -> None:
    with pytest.raises(ValidationError, match="no events"):
        app.restart_stream(Account, "nobody")
    with pytest.raises(ConcurrencyError):
        app.expecting(3).restart_stream(Account, "a-1")
    app.close_stream(Account, "a-1")
    with pytest.raises(StreamClosedError):
        app.restart_stream(Account, "a-1")


def test_what_lies_below_is_emptied_and_no_state_of_today_changes(app: Act, tmp_path: Path) -> None:
    app.restart_stream(Account, "a-1")
    app.do(Account.deposit, "a-1", amount=4)
    before = {stream: each.state for stream, each in app.replay(Account)}
    size = app.store.stats().bytes
    found = app.prune(dry_run=True)
    assert (found.events, found.streams, found.position) == (4, 1, 0)
    assert [(each.name, each.events) for each in found.parts] == [("Account", 4)]
    done = app.prune()
    assert (done.events, done.bytes, done.streams, done.upto) == (4, found.bytes, 1, found.upto)
    assert done.bytes_after < done.bytes_before + 200
    assert size
    stored = [each.data for each in app.store.load("a-1")]
    assert stored[:4] == [b'"pruned"'] * 4
    assert stored[5] == b'{"amount":4}'
    for each in (app, again(app)):
        assert each.load(Account, "a-1").state.balance == 10
        assert {stream: found.state for stream, found in each.replay(Account)} == before
        assert [step.version for step in each.history(Account, "a-1")] == [5, 6]
        assert each.load(Account, "a-1", at=each.load(Account, "a-1").position).state.balance == 10
        with pytest.raises(PrunedError, match="from version 5 on"):
            each.load(Account, "a-1", before=4)
        assert [event.position for event in each.query(events=[Deposited])] == [6, 7, 8, 10]
    assert app.do(Account.deposit, "a-1", amount=1).state.balance == 11
    assert dict(app.sql("select stream, balance from account").fetchall()) == {"a-1": 11, "a-2": 6}
    assert app.prune().events == 0
    assert verify_path(tmp_path / "bank.act").healthy
    app.backup(tmp_path / "copy.act")
    app.export(tmp_path / "all.jsonl")
    app.restore(tmp_path / "all.jsonl", replace=True)
    assert app.load(Account, "a-1").state.balance == 11
    with Act(str(tmp_path / "copy.act"), Account) as copy:
        assert copy.load(Account, "a-1").state.balance == 11


def test_a_stream_that_was_closed_for_good_is_pruned_and_keeps_its_last_state(app: Act) -> None:
    app.close_stream(Account, "a-1")
    assert app.prune().events == 4
    for each in (app, again(app)):
        found = each.load(Account, "a-1")
        assert (found.state.balance, found.closed) == (6, True)
        assert dict(each.replay(Account))["a-1"].closed
        with pytest.raises(StreamClosedError):
            each.do(Account.deposit, "a-1", amount=1)


def test_nothing_is_pruned_that_a_reaction_still_wants(app: Act) -> None:
    seen: list[int] = []
    app.on(Deposited, to="totals", name="adding")(lambda event: seen.append(event.data.amount))
    app.settle()
    app.do(Account.deposit, "a-2", amount=4)
    app.restart_stream(Account, "a-2")
    app.correlate()
    with pytest.raises(StoreLockedError, match="'totals' has handled up to"):
        app.prune()
    assert app.prune(dry_run=True).events == 5
    app.settle()
    assert app.prune().events == 5
    app.reset("totals")
    app.settle()
    assert seen == [1, 2, 3, 1, 2, 3, 4, 1, 2, 3], "those that were pruned do not come again"


def test_only_some_streams_are_pruned_and_nothing_above_a_position(app: Act) -> None:
    for stream in ("a-1", "a-2"):
        app.restart_stream(Account, stream)
    assert app.prune(streams="^a-2$", dry_run=True).events == 4
    assert app.prune(upto=2, dry_run=True).events == 2
    with pytest.raises(ValidationError):
        app.prune(streams="(")
    assert app.prune(upto=6).events == 6
    assert app.load(Account, "a-2").state.balance == 6


class Enrolled(Event):
    course: Tag[str]
    seats: int


class Student(State):
    seats: int = total(Enrolled.seats)


class Label(State):
    text: str = ""

    @reducer
    def enrolled(self, event: Enrolled) -> None:
        self.text = event.course


def test_events_with_tags_stay_and_declared_states_go_on(tmp_path: Path) -> None:
    with Act(str(tmp_path / "school.act"), Student) as app:
        for seats in (1, 2):
            app.store.append("s-1", [Enrolled("maths", seats)])
        app.restart_stream(Student, "s-1", carry=lambda state: Student(seats=100))
        app.store.append("s-1", [Enrolled("maths", 4)])
        found = app.prune()
        assert (found.events, found.tagged, found.position) == (0, 2, 0)
        assert app.load(Student, "s-1").state.seats == 104
        assert [each.state.seats for _, each in app.replay(Student)] == [104]
        assert app.sql("select seats from student").fetchall() == [(104,)]


def test_a_snapshot_that_is_not_used_any_more_does_no_harm(app: Act) -> None:
    app.restart_stream(Account, "a-1")
    app.snapshot(Account, "a-1")
    app.prune()

    class Account2(State, name="Account"):
        owner: str = ""
        balance: int = 7
        more: int = 9

        @reducer
        def deposited(self, event: Deposited) -> None:
            self.balance += event.amount

    other = Act(app.store, Account2, unknown="skip")
    assert other.load(Account2, "a-1").state == Account2(owner="Ada", balance=6, more=9)


def test_stores_that_others_copy_are_refused(tmp_path: Path) -> None:
    from act_fast.stores.ordered.memory import MemoryEngine
    from act_fast.stores.replicated.store import ReplicatedStore

    with ReplicatedStore(MemoryEngine().open(), tmp_path / "replica") as store:
        app = Act(store, Account)
        app.do(Account.open, "a", owner="Ada")
        app.restart_stream(Account, "a")
        assert app.load(Account, "a").state.owner == "Ada"
        for verb in (lambda: app.prune(), lambda: app.redact([1], drop=True, reason="r")):
            with pytest.raises(ValidationError, match="machines keep copies"):
                verb()
    with pytest.raises(Exception, match="replica"), LogStore(tmp_path / "replica") as log:
        log.prune()


def test_what_stays_is_counted_alike_before_and_after(app: Act) -> None:
    app.once("request-1").do(Account.deposit, "a-1", amount=1)
    app.restart_stream(Account, "a-1")
    app.restart_stream(Account, "a-2")
    foretold = app.prune(dry_run=True)
    assert (foretold.events, foretold.tagged) == (4, 5)
    assert app.prune().tagged == foretold.tagged


def first_outcome(app: Act) -> Any:
    """What a request was answered with, whose stream has gone on since and was restarted twice."""
    app.restart_stream(Account, "a-1")
    first = app.once("request-1").do(Account.deposit, "a-1", amount=1)
    app.once("request-2").do(Account.deposit, "a-1", amount=2)
    app.restart_stream(Account, "a-1")
    app.do(Account.deposit, "a-1", amount=3)
    app.restart_stream(Account, "a-1")
    return first


def test_a_request_of_late_is_answered_as_before_and_holds_back_only_what_its_answer_takes(app: Act) -> None:
    first = first_outcome(app)
    found = app.prune(dry_run=True)
    assert (found.events, found.tagged) == (4, 5)
    assert app.prune().events == 4
    for each in (app, again(app)):
        repeated = each.once("request-1").do(Account.deposit, "a-1", amount=1)
        assert (repeated.state, repeated.version, repeated.repeated) == (first.state, first.version, True)
        assert [event.data for event in repeated.events] == [Deposited(1)]
        assert each.load(Account, "a-1").state.balance == 12
        with pytest.raises(PrunedError, match="from version 5 on"):
            each.load(Account, "a-1", before=4)


def test_all_streams_of_a_request_are_answered_as_before(app: Act) -> None:
    calls = [Account.deposit.at("a-1", amount=1), Account.deposit.at("a-2", amount=2)]
    first = app.once("request-1").do_many(*calls)
    for stream in ("a-1", "a-2"):
        app.restart_stream(Account, stream)
    app.prune()
    for each in (app, again(app)):
        repeated = each.once("request-1").do_many(*calls)
        assert [(found.state, found.version) for found in repeated] == [(found.state, found.version) for found in first]


def test_a_key_of_long_ago_holds_nothing_back(app: Act, tmp_path: Path) -> None:
    app.once("request-1").do(Account.deposit, "a-1", amount=1)
    app.restart_stream(Account, "a-1")
    app.export(tmp_path / "all.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    for each in lines:
        each["created"] = "2020-01-01T00:00:00Z"
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    app.restore(tmp_path / "old.jsonl", replace=True)
    found = app.prune()
    assert (found.events, found.tagged) == (5, 0)
    with pytest.raises(PrunedError):
        app.once("request-1").do(Account.deposit, "a-1", amount=1)
    assert app.load(Account, "a-1").state.balance == 7, "it is not done twice"
