"""`act-fast timers PATH` and `act-fast cancel PATH KEY`: what is to be done later, was done, or was cancelled."""

from argparse import Namespace
from itertools import islice

import msgspec

from act_fast._app.act import Act
from act_fast._app.address import open_address
from act_fast._events.meta import Actor
from act_fast._reactions.skipped import operator
from act_fast._timers.timer import each_timer
from act_fast.cli.input.arguments import Commands, add_command, count
from act_fast.cli.input.store import check_path, open_store
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import Column, printable, write_all
from act_fast.stores.log.store import LogStore

__all__ = ["add"]

DESCRIPTION = """\
List the waiting timers, in the order in which they were first scheduled.

Columns: key, status (waiting, done or cancelled), when it is due, the action,
the stream, its arguments (JSON; not on a terminal), when it was scheduled (not
on a terminal), when it ended (--all only), and the target that does it, for
`act-fast why`."""

EXAMPLES = """\
shop.act
shop.act --all --json
shop.act --key unpaid-order-7 --all"""

CANCEL = """\
Cancel timers by their keys: their actions will not be done. The exit code is 1
if one of them was already done, and 2 if there never was one. Who cancelled them
is recorded."""

CANCEL_EXAMPLES = """\
shop.act unpaid-order-7
shop.act unpaid-order-7 unpaid-order-8"""

COLUMNS = [
    Column("key"),
    Column("status"),
    Column("due"),
    Column("action"),
    Column("stream"),
    Column("arguments", in_table=False),
    Column("scheduled", in_table=False),
    Column("ended"),
    Column("target"),
]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "timers",
        _run,
        summary="list scheduled actions",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("--all", action="store_true", help="also those that were done or cancelled")
    parser.add_argument("--key", metavar="KEY", help="the timer of this key")
    parser.add_argument("--limit", metavar="N", type=count, help="at most N of them")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser = add_command(
        commands, "cancel", _cancel, summary="cancel timers", description=CANCEL, examples=CANCEL_EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("keys", metavar="KEY", nargs="+", help="the key of a timer")


def _cancel(arguments: Namespace) -> int:
    check_path(arguments.path)
    path = arguments.path
    store = open_address(path, create=False) if "://" in path else LogStore(path, durability=None, create=False)
    late = False
    with store, Act(store) as app:
        for key in arguments.keys:
            cancelled = app.acting(Actor(operator())).cancel(key)
            late = late or not cancelled
            print(printable(key), "cancelled" if cancelled else "was done already", sep="\t")
    return int(late)


def _run(arguments: Namespace) -> int:
    with open_store(arguments.path) as store:
        rows = (
            (
                each.key,
                each.status,
                each.due,
                each.action,
                each.stream,
                msgspec.Raw(msgspec.json.encode(each.arguments)),
                each.scheduled,
                each.ended,
                each.target,
            )
            for each in each_timer(store)
            if (arguments.all or each.status == "waiting") and arguments.key in (None, each.key)
        )
        limited = rows if arguments.limit is None else islice(rows, arguments.limit)
        write_all(rows_to_stdout(COLUMNS, as_json=arguments.json), limited)
    return 0
