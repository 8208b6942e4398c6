"""A small bank whose logs are backed up, exported and restored."""

from act_fast import Act, Committed, Event, State, action, reducer

__all__ = ["Account", "Deposited", "Opened", "audited", "fill"]


class Opened(Event):
    owner: str


class Deposited(Event):
    amount: int


class Account(State, snapshot_every=10):
    owner: str = ""
    balance: int = 0

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    @action
    def open(self, owner: str) -> Opened:
        return Opened(owner)

    @action
    def deposit(self, amount: int) -> Deposited:
        return Deposited(amount)


def fill(app: Act, accounts: int = 5, deposits: int = 15) -> None:
    """Open some accounts and deposit into them in turn, so that their streams are mingled."""
    for number in range(accounts):
        app.do(Account.open, f"account-{number}", owner=f"Ada {number}")
    for amount in range(1, deposits + 1):
        for number in range(accounts):
            app.do(Account.deposit, f"account-{number}", amount=amount)


def audited(app: Act) -> list[tuple[str, int]]:
    """Let an app hear of all deposits, account by account; what it hears is added to the list."""
    heard: list[tuple[str, int]] = []

    @app.on(Deposited, to="audit-{stream}")
    def audit(event: Committed[Deposited]) -> None:
        heard.append((event.stream, event.version))

    return heard
