"""`python -m examples.bank [--store bank.act]`: a day at the bank, then the same day looked back on."""

from argparse import ArgumentParser
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from act_fast import Act, Actor, InvariantError
from examples.bank.account import Account, OverdrawnError
from examples.bank.transfer import transfer

ADA, BEN = "account-ada", "account-ben"
TELLER = Actor("teller-1", "Grace")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the example."""
    parser = ArgumentParser(prog="python -m examples.bank", description="Accounts and transfers.")
    parser.add_argument("--store", default="memory:", help="a directory to keep the events in; in memory otherwise")
    console = Console()
    with Act(parser.parse_args(argv).store, Account) as app:
        if app.store.head:
            console.print("The bank has been open before; here is what happened then.")
        else:
            _a_day(app.acting(TELLER), console)
        for stream in (ADA, BEN):
            console.print("", _statement(app, stream))


def _a_day(app: Act, console: Console) -> None:
    app.do(Account.open, ADA, owner="Ada")
    app.do(Account.open, BEN, owner="Ben")
    app.do(Account.deposit, ADA, cents=100_00)
    transfer(app, ADA, BEN, 30_00, reference="rent", actor=TELLER)
    try:
        transfer(app, ADA, BEN, 500_00, reference="yacht", actor=TELLER)
    except OverdrawnError as error:
        console.print(f"Refused: {error}")
    try:
        app.do(Account.close, ADA)
    except InvariantError as error:
        console.print(f"Refused: {error}")
    app.do(Account.withdraw, BEN, cents=10_00)


def _statement(app: Act, stream: str) -> Table:
    """The account after each of its events."""
    table = Table("version", "event", "of request", "balance", title=stream)
    for then in app.history(Account, stream):
        event = then.event
        if event is not None:
            table.add_row(str(then.version), event.name, event.meta.correlation, f"{then.state.cents / 100:.2f}")
    return table


if __name__ == "__main__":
    main()
