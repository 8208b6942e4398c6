"""The accounts that most tests of the framework keep."""

from act_fast import Event, State, action, invariant, reducer


class Opened(Event):
    owner: str


class Deposited(Event):
    amount: int


class Withdrawn(Event):
    amount: int


class Account(State):
    owner: str = ""
    balance: int = 0
    events: int = 0

    @reducer
    def opened(self, event: Opened) -> None:
        self.owner = event.owner
        self.events += 1

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount
        self.events += 1

    @reducer
    def withdrawn(self, event: Withdrawn) -> None:
        self.balance -= event.amount
        self.events += 1

    @invariant("the account is open")
    def is_open(self) -> bool:
        return self.owner != ""

    @action
    def open(self, owner: str) -> Opened | None:
        return None if self.owner else Opened(owner)

    @action
    def deposit(self, amount: int) -> Deposited:
        return Deposited(amount)

    @action(retries=10_000)
    def deposit_at_last(self, amount: int) -> Deposited:
        return Deposited(amount)

    @action
    def deposit_each(self, amounts: list[int]) -> list[Deposited]:
        return [Deposited(amount) for amount in amounts]

    @action(requires=[is_open])
    def withdraw(self, amount: int) -> Withdrawn:
        return Withdrawn(amount)
