"""The account that `act-fast bench` opens and pays into."""

from act_fast._events.event import Event
from act_fast._states.action import action
from act_fast._states.reducer import reducer
from act_fast._states.state import State

__all__ = ["Account", "Deposited", "Opened"]


class Opened(Event):
    """An account has an owner."""

    owner: str


class Deposited(Event):
    """Money came in; the size of an event that says a little more than that."""

    amount: int
    currency: str = "EUR"
    reference: str = "0123456789abcdef0123456789abcdef"


class Account(State):
    """What is in an account."""

    owner: str = ""
    balance: int = 0

    @reducer
    def opened(self, event: Opened) -> None:
        """It has an owner."""
        self.owner = event.owner

    @reducer
    def deposited(self, event: Deposited) -> None:
        """It is more."""
        self.balance += event.amount

    @action
    def open(self, owner: str) -> Opened:
        """Open it."""
        return Opened(owner)

    @action
    def deposit(self, amount: int) -> Deposited:
        """Pay in."""
        return Deposited(amount)
