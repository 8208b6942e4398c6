"""The account that everyone keeps: here as a state of act-fast, in `peers/aggregates.py` as an aggregate."""

from act_fast import Event, State, action, reducer

__all__ = ["Account", "Deposited", "Opened"]


class Opened(Event):
    owner: str


class Deposited(Event):
    amount: int


class Account(State):
    owner: str = ""
    balance: int = 0

    @reducer
    def opened(self, event: Opened) -> None:
        self.owner = event.owner

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    @action
    def open(self, owner: str) -> Opened:
        return Opened(owner)

    @action
    def deposit(self, amount: int) -> Deposited:
        return Deposited(amount)
