"""The definitions that the promises about types are made for. Each wrong line must be reported: an `ignore` that is
not needed is an error itself, in mypy and in pyright.
"""

from collections.abc import Iterator

from act_fast import Actor, Event, State, action, invariant, reducer


class Opened(Event):
    owner: str


class Deposited(Event):
    amount: int


class Other(Event):
    pass


class Account(State, snapshot_every=100):
    owner: str = ""
    balance: int = 0

    @reducer
    def opened(self, event: Opened) -> None:
        self.owner = event.owner

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    @invariant("the account is open")
    def is_open(self) -> bool:
        return self.owner != ""

    @invariant("somebody acts")
    def somebody(self, actor: Actor | None) -> bool:
        return actor is not None

    @action
    def open(self, owner: str) -> Opened:
        return Opened(owner)

    @action(retries=3, requires=[is_open, somebody])
    def deposit(self, amount: int, *, note: str | None = None) -> Deposited:
        return Deposited(amount)

    @action
    def deposit_each(self, amounts: list[int]) -> list[Deposited]:
        return [self.deposit(amount) for amount in amounts]

    @action
    def maybe(self) -> Opened | Deposited | None:
        return None

    @action
    def some(self) -> Iterator[Deposited]:
        yield Deposited(1)


class Savings(Account):
    interest: float = 0.0
