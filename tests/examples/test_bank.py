"""The bank: its rules hold, transfers are whole, and a day can be looked back on."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from act_fast import Act, Actor, Append, Appended, InvariantError, LogStore, Meta, ValidationError
from act_fast.testing import given
from examples.bank.__main__ import main
from examples.bank.account import (
    Account,
    Closed,
    Deposited,
    Opened,
    OverdrawnError,
    Received,
    Sent,
    Withdrawn,
)
from examples.bank.transfer import transfer

ROOT = Path(__file__).parent.parent.parent
THREADS = 8
TRANSFERS_EACH = 25


@pytest.fixture
def bank() -> Iterator[Act]:
    """Ada and Ben, with 100.00 each."""
    with Act("memory:", Account, debug=True) as app:
        for owner in ("ada", "ben"):
            app.do(Account.open, owner, owner=owner)
            app.do(Account.deposit, owner, cents=100_00)
        yield app


def cents(app: Act, stream: str) -> int:
    return app.load(Account, stream).state.cents


def test_money_goes_in_and_out() -> None:
    scenario = given(Account, Opened("Ada")).when(Account.deposit, cents=5).then(Deposited(5))
    scenario.when(Account.withdraw, cents=2).then(Withdrawn(2)).state(cents=3)


@pytest.mark.parametrize("cents", [0, -1])
def test_nothing_and_less_cannot_be_paid_in(cents: int) -> None:
    given(Account, Opened("Ada")).when(Account.deposit, cents=cents).raises(ValidationError, "argument 'cents'")


def test_an_account_is_opened_once_and_by_somebody() -> None:
    given(Account, Opened("Ada")).when(Account.open, owner="Ben").raises(
        InvariantError, description="the account is new"
    )
    given(Account).when(Account.open, owner="").raises(ValidationError, "argument 'owner'")


def test_an_account_that_is_not_open_takes_no_money() -> None:
    given(Account).when(Account.deposit, cents=5).raises(InvariantError, description="the account is open")
    closed = given(Account, Opened("Ada"), Closed())
    closed.when(Account.deposit, cents=5).raises(InvariantError, description="the account is open")


def test_more_than_there_is_cannot_be_withdrawn() -> None:
    given(Account, Opened("Ada"), Deposited(5)).when(Account.withdraw, cents=6).raises(OverdrawnError)


def test_only_an_empty_account_can_be_closed_and_once_is_enough() -> None:
    full = given(Account, Opened("Ada"), Deposited(5))
    full.when(Account.close).raises(InvariantError, description="the account is empty")
    given(Account, Opened("Ada")).when(Account.close).then(Closed()).when(Account.close).then()


def test_a_transfer_changes_both_accounts_in_one_commit(bank: Act) -> None:
    head = bank.store.head
    transfer(bank, "ada", "ben", 30_00, reference="rent", actor=Actor("u1", "Ada"))
    assert (cents(bank, "ada"), cents(bank, "ben")) == (70_00, 130_00)
    sent, received = bank.query(after=head)
    assert (sent.data, received.data) == (Sent(30_00, "ben"), Received(30_00, "ada"))
    assert sent.created == received.created


def test_both_halves_are_found_by_the_reference_and_say_who_wanted_it(bank: Act) -> None:
    transfer(bank, "ada", "ben", 30_00, reference="rent", actor=Actor("u1", "Ada"))
    found = list(bank.query(correlation="rent"))
    assert [each.stream for each in found] == ["ada", "ben"]
    for each in found:
        assert each.meta.causation
        assert each.meta.causation.action
        assert each.meta.causation.action.actor == Actor("u1", "Ada")


def test_a_transfer_that_is_refused_changes_neither_account(bank: Act) -> None:
    head = bank.store.head
    with pytest.raises(OverdrawnError):
        transfer(bank, "ada", "ben", 100_01, reference="too much")
    with pytest.raises(InvariantError, match="transfer on 'nobody' at version 0 breaks the rule: the account is open"):
        transfer(bank, "ada", "nobody", 1, reference="to nobody")
    with pytest.raises(ValidationError):
        transfer(bank, "ada", "ada", 1, reference="to herself")
    with pytest.raises(ValidationError):
        transfer(bank, "ada", "ben", -1, reference="the wrong way round")
    assert bank.store.head == head


def test_transfers_in_both_directions_at_once_lose_no_money(bank: Act) -> None:
    def send(number: int) -> None:
        source, target = ("ada", "ben") if number % 2 else ("ben", "ada")
        for _ in range(TRANSFERS_EACH):
            transfer(bank, source, target, 1 + number, reference=f"thread {number}")

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(send, range(THREADS)))
    assert cents(bank, "ada") + cents(bank, "ben") == 200_00
    assert bank.load(Account, "ada").version == 2 + THREADS * TRANSFERS_EACH
    assert all(then.state.cents >= 0 for then in bank.history(Account, "ada"))


class Busy(LogStore):
    """A store that lets somebody else in, right before a transfer's commit."""

    let_in: Callable[[], object] | None = None

    def append_many(self, appends: Sequence[Append], *, meta: Meta | None = None) -> list[Appended]:
        let_in, self.let_in = self.let_in, None
        if let_in:
            let_in()
        return super().append_many(appends, meta=meta)


@pytest.fixture
def busy() -> Iterator[Busy]:
    with Busy.memory() as store:
        yield store


def with_fifty_cents(store: Busy) -> Act:
    bank = Act(store, Account)
    bank.do(Account.open, "ada", owner="Ada")
    bank.do(Account.open, "ben", owner="Ben")
    bank.do(Account.deposit, "ada", cents=50)
    return bank


def test_money_that_was_spent_meanwhile_is_not_sent(busy: Busy) -> None:
    bank = with_fifty_cents(busy)
    busy.let_in = lambda: bank.do(Account.withdraw, "ada", cents=50)
    with pytest.raises(OverdrawnError):
        transfer(bank, "ada", "ben", 50, reference="rent")
    assert (cents(bank, "ada"), cents(bank, "ben")) == (0, 0)


def test_no_money_gets_into_an_account_that_was_closed_meanwhile(busy: Busy) -> None:
    bank = with_fifty_cents(busy)
    busy.let_in = lambda: bank.do(Account.close, "ben")
    with pytest.raises(InvariantError, match="'ben' at version 2 breaks the rule: the account is open"):
        transfer(bank, "ada", "ben", 50, reference="rent")
    assert (cents(bank, "ada"), cents(bank, "ben")) == (50, 0)


def test_what_came_in_meanwhile_is_no_hindrance(busy: Busy) -> None:
    bank = with_fifty_cents(busy)
    busy.let_in = lambda: bank.do(Account.deposit, "ada", cents=1)
    transfer(bank, "ada", "ben", 50, reference="rent")
    assert (cents(bank, "ada"), cents(bank, "ben")) == (1, 50)


def test_a_balance_can_be_looked_back_on(bank: Act) -> None:
    before = bank.store.head
    transfer(bank, "ada", "ben", 30_00, reference="rent")
    assert bank.load(Account, "ada", position=before).state.cents == 100_00
    assert [then.state.cents for then in bank.history(Account, "ada")] == [0, 100_00, 70_00]


def test_the_program_shows_each_account_step_by_step() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "examples.bank"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "Refused: 50000 cents were asked for, but there are 7000" in ran
    assert [line.split()[-2] for line in ran.splitlines() if line.startswith("│")] == [
        *("0.00", "100.00", "70.00"),
        *("0.00", "30.00", "20.00"),
    ]


def test_the_program_finds_its_day_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--store", str(tmp_path / "bank.act")])
    first = capsys.readouterr().out
    main(["--store", str(tmp_path / "bank.act")])
    again = capsys.readouterr().out
    assert first[first.index("account-ada  ") :] == again[again.index("account-ada  ") :]
