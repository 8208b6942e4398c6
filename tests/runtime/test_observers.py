"""Observers are told what happened, and cannot spoil it."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from act_fast import Act, Failure, InvariantError, Snapshot, ValidationError
from tests.support.bank import Account, Deposited


def test_an_observer_is_told_of_every_commit(app: Act) -> None:
    told: list[Snapshot[Any]] = []
    app.observe("committed", told.append)
    app.do(Account.deposit_each, "account-7", amounts=[1, 2])
    app.do(Account.deposit_each, "account-7", amounts=[])
    app.load(Account, "account-7")
    with pytest.raises(InvariantError):
        app.do(Account.withdraw, "account-7", amount=1)

    assert [(each.stream, each.version) for each in told] == [("account-7", 2)]
    assert [each.data for each in told[0].events] == [Deposited(1), Deposited(2)]


def test_an_observer_that_raises_is_logged_and_breaks_nothing(app: Act, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("oops")

    told: list[Snapshot[Any]] = []
    failures: list[Failure] = []
    app.observe("committed", broken)
    app.observe("committed", told.append)
    app.observe("error", failures.append)
    app.observe("error", broken)
    assert app.do(Account.deposit, "account-7", amount=1).version == 1

    assert len(told) == 1
    assert "an observer of 'committed' raised" in caplog.text
    assert [failure.doing for failure in failures] == ["telling an observer of 'committed'"]


def test_what_an_observer_does_to_the_state_harms_nobody(app: Act) -> None:
    def vandal(snapshot: Snapshot[Any]) -> None:
        snapshot.state.balance = 99

    app.observe("committed", vandal)
    assert app.do(Account.deposit, "account-7", amount=1).state.balance == 1
    assert app.load(Account, "account-7").state.balance == 1


def test_an_observer_may_do_more(app: Act) -> None:
    def mirror(snapshot: Snapshot[Any]) -> None:
        if not snapshot.stream.startswith("mirror"):
            app.do(Account.deposit, f"mirror-{snapshot.stream}", amount=snapshot.state.balance)

    app.observe("committed", mirror)
    app.do(Account.deposit, "account-7", amount=3)
    assert app.load(Account, "mirror-account-7").state.balance == 3


def test_an_observer_may_do_more_on_the_same_stream_while_others_hammer_it(app: Act) -> None:
    def answer(snapshot: Snapshot[Any]) -> None:
        if snapshot.state.balance % 2:
            app.do(Account.deposit_at_last, snapshot.stream, amount=1001)  # which makes it even: it ends

    app.observe("committed", answer)
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda _: app.do(Account.deposit_at_last, "account-7", amount=1), range(100)):
            pass
    assert (app.load(Account, "account-7").state.balance - 100) % 1001 == 0


def test_all_faces_of_an_app_share_its_observers(app: Act) -> None:
    told: list[Snapshot[Any]] = []
    app.expecting(0).observe("committed", told.append)
    app.do(Account.deposit, "account-7", amount=1)
    assert len(told) == 1


def test_there_is_only_so_much_to_observe(app: Act) -> None:
    with pytest.raises(ValidationError, match="nothing called 'commited' to observe; there is committed, claimed"):
        app.observe("commited", print)  # type: ignore[call-overload]
    with pytest.raises(ValidationError, match="must be callable"):
        app.observe("committed", None)  # type: ignore[call-overload]


def test_logging_is_quiet_unless_it_is_asked_for(app: Act, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "act_fast"):
        app.do(Account.deposit, "account-7", amount=1)
    assert not caplog.records
    with caplog.at_level(logging.DEBUG, "act_fast"):
        app.do(Account.deposit, "account-7", amount=1)
    assert [record.getMessage() for record in caplog.records] == ["appended 1 to 'account-7', now at version 2"]
