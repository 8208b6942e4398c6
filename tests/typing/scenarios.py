"""`act_fast.testing` promises the same."""

from typing import assert_type

from act_fast.testing import Given, When, given

from .domain import Account, Deposited, Opened


def right() -> None:
    assert_type(given(Account, Opened("Ada")), Given[Account])
    assert_type(given(Account).when(Account.deposit, amount=5), When[Account])
    given(Account).when(Account.deposit, amount=5).then(Deposited(5)).state(balance=5)


def wrong() -> None:
    given(Account).when(Account.deposit, amount="5")  # type: ignore[arg-type]
    given(Account).when(Account.deposit)  # type: ignore[call-arg]
    given(Account, "Opened")  # type: ignore[arg-type]
    given(Account).when(Account.deposit, amount=5).then("Deposited")  # type: ignore[arg-type]
