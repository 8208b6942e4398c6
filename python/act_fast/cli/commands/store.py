"""`act-fast store init|upgrade ADDRESS`: the tables of a store in a database."""

from argparse import Namespace

from act_fast._app.address import open_address, upgrade_address
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.errors import ValidationError

__all__ = ["add"]

DESCRIPTION = """\
Create the tables of a store in a database, or upgrade them to the format of
this version of act-fast. This takes a role with the right to create and change
tables; programs that use the store do not need that right.

init creates the tables if there are none. upgrade changes tables that an
earlier version created; programs never do that by themselves. A store of a
newer format is refused."""

EXAMPLES = """\
init postgresql://owner@host/bank
upgrade 'mysql://owner@host/bank?prefix=orders'"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "store",
        _run,
        summary="create or upgrade the tables of a store in a database",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("what", metavar="init|upgrade", choices=("init", "upgrade"), help="what to do")
    parser.add_argument("address", metavar="ADDRESS", help="the store's address")


def _run(arguments: Namespace) -> int:
    if "://" not in arguments.address:
        raise ValidationError(
            "only a store in a database has tables to create or upgrade; name its address, such as"
            " postgresql://host/bank. A directory is created when it is first opened"
        )
    if arguments.what == "init":
        with open_address(arguments.address, create=True) as store:
            print(f"the store is there, with {store.head} events")
        return 0
    before, now = upgrade_address(arguments.address)
    print(f"the tables already have format {now}" if before == now else f"upgraded from format {before} to {now}")
    return 0
