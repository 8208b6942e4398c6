"""Several actions in one commit: all of their events are appended, or none."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from act_fast import (
    Act,
    ActError,
    Actor,
    AsyncAct,
    ConcurrencyError,
    DefinitionError,
    Event,
    InvariantError,
    LogStore,
    Snapshot,
    State,
    StreamClosedError,
    ValidationError,
    action,
)
from tests.support.bank import Account, Deposited, Withdrawn


class Booked(Event):
    amount: int


class Ledger(State, snapshot_every=2):
    amount: int = 0
    bookings: int = 0

    @action
    def book(self, amount: int) -> list[Booked]:
        return [Booked(amount)] if amount else []


@pytest.fixture
def app() -> Iterator[Act]:
    with Act("memory:", Account, Ledger, debug=True) as app:
        app.do_many(Account.open.at("a", owner="Ada"), Account.deposit.at("a", amount=100), Account.open.at("b", "Bob"))
        yield app


def balance(app: Act, stream: str) -> int:
    return app.load(Account, stream).state.balance


def test_actions_of_several_states_and_streams_are_one_commit(app: Act) -> None:
    paid, received, booked = app.acting(Actor("u1")).do_many(
        Account.withdraw.at("a", amount=30), Account.deposit.at("b", 30), Ledger.book.at("ledger", amount=30)
    )
    assert (paid.state.balance, received.state.balance, booked.version) == (70, 30, 1)
    assert (paid.version, paid.position, paid.appended) == (3, 4, 1)
    assert [event.data for event in paid.events] == [Withdrawn(30)]
    last = list(app.store.query(after=3))
    assert [(event.stream, event.name) for event in last] == [
        ("a", "Withdrawn"),
        ("b", "Deposited"),
        ("ledger", "Booked"),
    ]
    assert len({(event.created, event.meta.correlation) for event in last}) == 1
    why = last[0].meta.action
    assert why is not None
    assert (why.name, why.stream, last[0].meta.actor) == (
        "Account.withdraw, Account.deposit, Ledger.book",
        "a",
        Actor("u1"),
    )


def test_they_are_one_commit_on_any_store(app_on_any_store: Act) -> None:
    app = app_on_any_store
    opened, other = app.do_many(Account.open.at("a", "Ada"), Account.deposit.at("b", 30))
    assert (opened.version, other.state.balance) == (1, 30)
    with pytest.raises(InvariantError):
        app.do_many(Account.withdraw.at("a", 5), Account.withdraw.at("b", 5))
    moved, _ = app.do_many(Account.withdraw.at("a", 5), Account.deposit.at("b", 5))
    assert (moved.position, balance(app, "a"), balance(app, "b"), app.store.head) == (3, -5, 35, 4)
    assert len({event.created for event in app.store.query(after=2)}) == 1


def test_later_calls_on_a_stream_see_what_earlier_ones_have_done(app: Act) -> None:
    first, other, second = app.do_many(
        Account.withdraw.at("a", 60), Account.deposit.at("b", 60), Account.deposit_each.at("a", [1, 2])
    )
    assert [each.state.balance for each in (first, other, second)] == [40, 60, 43]
    assert [each.version for each in (first, other, second)] == [3, 2, 5]
    assert [each.position for each in (first, other, second)] == [4, 7, 6]
    assert [event.data for event in second.events] == [Deposited(1), Deposited(2)]
    assert app.load(Account, "a").version == 5


def test_of_calls_that_decide_on_nothing_nothing_is_appended(app: Act) -> None:
    opened, booked = app.do_many(Account.open.at("a", "Ada"), Ledger.book.at("ledger", 0))
    assert (opened.version, opened.appended, booked.version) == (2, 0, 0)
    assert app.store.head == 3


@pytest.mark.parametrize(
    ("wrong", "error", "message", "note"),
    [
        (
            Account.withdraw.at("nobody", 1),
            InvariantError,
            "the account is open",
            "Account.withdraw on stream 'nobody'",
        ),
        (Account.deposit.at("b", amount="many"), ValidationError, "Account.deposit: argument 'amount'", "'b'"),  # type: ignore[arg-type]
        (Account.deposit.at("closed", 1), StreamClosedError, "closed", "Account.deposit on stream 'closed'"),
    ],
)
def test_nothing_is_appended_if_one_fails_and_the_error_says_which(
    app: Act, wrong: Any, error: type[ActError], message: str, note: str
) -> None:
    app.do(Account.deposit, "closed", amount=1)
    app.close_stream(Account, "closed")
    before = app.store.head
    with pytest.raises(error, match=message) as caught:
        app.do_many(Account.deposit.at("a", 1), wrong)
    (told,) = caught.value.__notes__
    assert note in told
    assert told.endswith("call 2 of 2")
    assert app.store.head == before
    assert balance(app, "a") == 100


def test_each_stream_is_expected_at_the_version_that_was_seen() -> None:
    between: list[Any] = []

    class Gate(State):
        passed: int = 0

        @action
        def go(self) -> Booked | None:
            while between:
                between.pop()()
            return None

    with Act("memory:", Account, Gate) as app:
        app.do(Account.open, "a", owner="Ada")
        between.append(lambda: app.store.append("a", [Deposited(5)]))
        with pytest.raises(ConcurrencyError) as caught:
            app.do_many(Account.withdraw.at("a", 5), Gate.go.at("gate"))
        assert caught.value.stream == "a"
        # A stream on which nothing was decided is expected to be as it was, too.
        between.append(lambda: app.store.append("gate", [Booked(1)]))
        with pytest.raises(ConcurrencyError) as caught:
            app.do_many(Account.withdraw.at("a", 5), Gate.go.at("gate"))
        assert caught.value.stream == "gate"
        assert balance(app, "a") == 5


def test_it_decides_again_as_often_as_each_of_the_actions_allows() -> None:
    with LogStore.memory() as store:
        app = Act(store, Account)
        barrier = threading.Barrier(8)

        def one(number: int) -> None:
            barrier.wait(60)
            for _ in range(10):
                app.do_many(
                    Account.deposit_at_last.at(f"own-{number}", 1), Account.deposit_at_last.at("shared", amount=1)
                )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(8)))
        assert balance(app, "shared") == 80
        assert [balance(app, f"own-{number}") for number in range(8)] == [10] * 8


def test_snapshots_are_stored_and_observers_are_told(app: Act) -> None:
    seen: list[Snapshot[Any]] = []
    app.observe("committed", seen.append)
    app.do_many(Ledger.book.at("l", 1), Ledger.book.at("l", 2), Account.deposit.at("a", 1))
    assert [(each.stream, each.version) for each in seen] == [("l", 1), ("l", 2), ("a", 3)]
    found = app.store.latest_snapshot("l")
    assert found is not None
    assert found.version == 2


async def test_it_can_be_awaited() -> None:
    async with AsyncAct("memory:", Account) as app:
        opened, received = await app.do_many(Account.open.at("a", "Ada"), Account.deposit.at("b", amount=3))
        assert (opened.state.owner, received.state.balance) == ("Ada", 3)


def test_what_cannot_be_done_together_is_an_error_that_says_so(app: Act) -> None:
    wrong: Any = app
    with pytest.raises(ValidationError, match="at least one call"):
        wrong.do_many()
    with pytest.raises(DefinitionError, match=r"not function \(call 2 of 2\)"):
        wrong.do_many(Account.deposit.at("a", 1), lambda: None)
    with pytest.raises(DefinitionError, match="'a' is given to actions of Account and of Ledger"):
        app.do_many(Account.deposit.at("a", 1), Ledger.book.at("a", 1))
    with pytest.raises(ValidationError, match="expecting"):
        app.expecting(1).do_many(Account.deposit.at("a", 1))
    assert app.store.head == 3


def test_it_goes_on_with_a_log_that_was_restored(tmp_path: Any) -> None:
    with LogStore(tmp_path / "bank.act") as store:
        app = Act(store, Account)
        app.do_many(Account.open.at("a", "Ada"), Account.open.at("b", "Bob"))
        store.export(tmp_path / "bank.jsonl")
        app.do_many(Account.deposit.at("a", 1), Account.deposit.at("b", 1))
        store.restore(tmp_path / "bank.jsonl", replace=True)
        paid, received = app.do_many(Account.deposit.at("a", 7), Account.deposit.at("b", 8))
        assert (paid.version, paid.state.balance, received.state.balance) == (2, 7, 8)
