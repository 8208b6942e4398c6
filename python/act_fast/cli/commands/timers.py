"""`act-fast timers PATH`: what is to be done later, was done, or was cancelled."""

from argparse import Namespace
from itertools import islice

import msgspec

from act_fast._timers.timer import each_timer
from act_fast.cli.input.arguments import Commands, add_command, count
from act_fast.cli.input.store import open_store
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import Column, write_all

__all__ = ["add"]

DESCRIPTION = """\
List the timers that wait, in the order in which they were first scheduled.

Columns: key, status (waiting, done or cancelled), when it is due, the action,
the stream, its arguments (JSON; not on a terminal), when it was scheduled (not
on a terminal), when it ended (--all only), and the target that does it, for
`act-fast why`."""

EXAMPLES = """\
shop.act
shop.act --all --json
shop.act --key unpaid-order-7 --all"""

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
        summary="list what is to be done later",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("--all", action="store_true", help="also those that were done or cancelled")
    parser.add_argument("--key", metavar="KEY", help="the timer of this key")
    parser.add_argument("--limit", metavar="N", type=count, help="at most N of them")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


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
