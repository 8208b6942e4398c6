"""An account: what can happen to it, what that adds up to, and what may be decided."""

from typing import Annotated

import msgspec

from act_fast import Event, State, action, invariant, reducer

__all__ = [
    "Account",
    "Cents",
    "Closed",
    "Deposited",
    "Opened",
    "OverdrawnError",
    "Received",
    "Sent",
    "Withdrawn",
]

Cents = Annotated[int, msgspec.Meta(ge=1)]
"""An amount of money: whole cents, at least one."""


class OverdrawnError(Exception):
    """There is not enough money in the account."""


class Opened(Event):
    """Somebody has an account from now on."""

    owner: str


class Deposited(Event):
    """Money was paid in."""

    cents: int


class Withdrawn(Event):
    """Money was paid out."""

    cents: int


class Sent(Event):
    """Money left for another account."""

    cents: int
    target: str


class Received(Event):
    """Money came from another account."""

    cents: int
    source: str


class Closed(Event):
    """The account is no more in use."""


class Account(State, snapshot_every=100):
    """What is known of an account."""

    owner: str = ""
    cents: int = 0
    closed: bool = False

    @reducer
    def opened(self, event: Opened) -> None:
        """Note whose it is."""
        self.owner = event.owner

    @reducer
    def came_in(self, event: Deposited | Received) -> None:
        """Add up what comes."""
        self.cents += event.cents

    @reducer
    def went_out(self, event: Withdrawn | Sent) -> None:
        """Take off what goes."""
        self.cents -= event.cents

    @reducer
    def ended(self, event: Closed) -> None:
        """Note that it is over."""
        self.closed = True

    @invariant("the account is open")
    def is_open(self) -> bool:
        """It has an owner, and was not closed."""
        return self.owner != "" and not self.closed

    @invariant("the account is empty")
    def is_empty(self) -> bool:
        """There is no money in it."""
        return self.cents == 0

    @invariant("the account is new")
    def is_new(self) -> bool:
        """It never had an owner."""
        return self.owner == ""

    @action(requires=[is_new])
    def open(self, owner: Annotated[str, msgspec.Meta(min_length=1)]) -> Opened:
        """Open it for somebody."""
        return Opened(owner)

    @action(requires=[is_open], retries=10)
    def deposit(self, cents: Cents) -> Deposited:
        """Pay money in."""
        return Deposited(cents)

    @action(requires=[is_open], retries=10)
    def withdraw(self, cents: Cents) -> Withdrawn:
        """Pay money out, as far as there is any."""
        self._afford(cents)
        return Withdrawn(cents)

    @action(requires=[is_empty])
    def close(self) -> Closed | None:
        """Close it; closing it again does nothing."""
        return None if self.closed else Closed()

    def send(self, cents: int, target: str) -> Sent:
        """One half of a transfer. No action: it must not be appended without the other half."""
        self._afford(cents)
        return Sent(cents, target)

    def receive(self, cents: int, source: str) -> Received:
        """The other half."""
        return Received(cents, source)

    def _afford(self, cents: int) -> None:
        if cents > self.cents:
            raise OverdrawnError(f"{cents} cents were asked for, but there are {self.cents}")
