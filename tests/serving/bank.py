"""A bank that is served: an action with constraints, one that refuses, one that fails, one that takes its time."""

from typing import Annotated

import msgspec

from act_fast import Act, Event, State, action, invariant, reducer

__all__ = ["Account", "Deposited", "Opened", "OverdrawnError", "Purse", "app", "purse"]


class OverdrawnError(Exception):
    """There is not enough."""


class Opened(Event):
    owner: str


class Deposited(Event):
    cents: int
    tags: tuple[str, ...] = ()


class Account(State):
    """An account with a balance."""

    owner: str = ""
    cents: int = 0

    @reducer
    def opened(self, event: Opened) -> None:
        self.owner = event.owner

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.cents += event.cents

    @invariant("an account is open")
    def is_open(self) -> bool:
        return bool(self.owner)

    @action
    def open(self, owner: str) -> Opened:
        return Opened(owner)

    @action(requires=[is_open], retries=20)
    def deposit(self, cents: Annotated[int, msgspec.Meta(ge=1)], tags: tuple[str, ...] = ()) -> Deposited:
        """Pay money in."""
        return Deposited(cents, tags)

    @action(requires=[is_open])
    def withdraw(self, cents: int, *, overdraw: bool = False) -> Deposited:
        if cents > self.cents and not overdraw:
            raise OverdrawnError("not enough money")
        return Deposited(-cents)

    @action
    def fail(self) -> None:
        raise RuntimeError("the secret of the house")


class Purse(State, events=[]):
    coins: int = 0


def app() -> Act:
    """The app on a store in this directory."""
    return Act("bank.act", Account, Purse)


def who(request: object, access: object) -> bool:
    """Lets anybody in."""
    return True


purse = 7
