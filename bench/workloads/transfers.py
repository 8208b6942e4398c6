"""Transfers between accounts, some of which are hot: who pays whom how much, from a fixed seed."""

import random
from typing import NamedTuple

from act_fast import Backoff, Event, State, action, reducer
from bench.workloads.events import SEED

__all__ = ["OPENING_BALANCE", "Purse", "Transfer", "purse_name", "transfers"]

PURSES = 10_000
HOT_PURSES = 10
HOT_SHARE = 0.5
OPENING_BALANCE = 1_000_000
RETRIES = 1_000
BRIEFLY = Backoff(first=0.0001, longest=0.005)


class Transfer(NamedTuple):
    """Somebody pays somebody else."""

    payer: str
    payee: str
    amount: int


class PaidOut(Event):
    amount: int


class PaidIn(Event):
    amount: int


class Purse(State):
    """What somebody has; at first, `OPENING_BALANCE`."""

    balance: int = OPENING_BALANCE

    @reducer
    def paid_out(self, event: PaidOut) -> None:
        self.balance -= event.amount

    @reducer
    def paid_in(self, event: PaidIn) -> None:
        self.balance += event.amount

    @action(retries=RETRIES, backoff=BRIEFLY)
    def pay_out(self, amount: int) -> PaidOut | None:
        return PaidOut(amount) if amount <= self.balance else None

    @action(retries=RETRIES, backoff=BRIEFLY)
    def pay_in(self, amount: int) -> PaidIn:
        return PaidIn(amount)


def purse_name(number: int) -> str:
    return f"purse-{number}"


def transfers(count: int, seed: int = SEED) -> list[Transfer]:
    """`count` transfers; half of the purses in them are one of the few hot ones."""
    chance = random.Random(seed)

    def purse() -> int:
        return chance.randrange(HOT_PURSES if chance.random() < HOT_SHARE else PURSES)

    found: list[Transfer] = []
    while len(found) < count:
        payer, payee = purse(), purse()
        if payer != payee:
            found.append(Transfer(purse_name(payer), purse_name(payee), chance.randrange(1, 100)))
    return found
