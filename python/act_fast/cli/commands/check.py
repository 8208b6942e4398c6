"""`act-fast check MODULE:APP PATH`: would every event of this log still decode?"""

import sys
from argparse import Namespace
from collections.abc import Iterator

import msgspec

from act_fast._app.decode_check import CheckReport, check
from act_fast.cli.input.app import find_app
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.input.fresh_defaults import changing_defaults
from act_fast.cli.input.store import open_store
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.rows import Column, Value, printable, write_all
from act_fast.cli.output.terminal import console, draws, json_line

__all__ = ["add"]

DESCRIPTION = """\
Decode every event of the store with the classes of an app, and list those that
no longer decode: a gate before each release. The exit code is 1 if there are
any. Events with a name that no class claims count too, unless the app was
created with unknown="skip", or --skip-unknown is given.

MODULE:APP is an app, a function that makes one, a state class or a slice. The
module is imported, from the current directory if it is there; an app's own
store is not touched.

Two fresh processes import the module too. A field whose default differs
between them is named on standard error, and the exit code is 1: old events that
lack the field would mean something else each time the program starts.

Columns: name, events (how many have that name), class (that they decode as),
failures (how many do not decode), and in a pipe the first of these: position,
stream, version and reason."""

EXAMPLES = """\
bank:app bank.act
bank.states:Account /srv/bank.act --json | jq '.names[]'"""

COLUMNS = [
    Column("name"),
    Column("events"),
    Column("class"),
    Column("failures"),
    Column("position", in_table=False),
    Column("stream", in_table=False),
    Column("version", in_table=False),
    Column("reason", in_table=False),
]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "check",
        _run,
        summary="find events that do not decode",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("app", metavar="MODULE:APP", help="whose classes the events should decode as")
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("--skip-unknown", action="store_true", help="accept names that no class claims")
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")


def _run(arguments: Namespace) -> int:
    app = find_app(arguments.app)
    with open_store(arguments.path) as store, progress_bar("checking") as progress:
        report = check(app, store, skip_unknown=arguments.skip_unknown, progress=progress)
    report = msgspec.structs.replace(report, changing=changing_defaults(arguments.app))
    if arguments.json:
        print(json_line(msgspec.json.encode(report)))
    else:
        _show(report)
    for field in report.changing:
        print(f"{field} has a different default at each start; give it a constant, or None", file=sys.stderr)
    return 0 if report.healthy else 1


def _show(report: CheckReport) -> None:
    write_all(rows_to_stdout(COLUMNS, as_json=False), _rows(report))
    if draws():
        _explain(report)


def _explain(report: CheckReport) -> None:
    from rich.text import Text

    out = console()
    for each in report.names:
        if each.first:
            place = f"{each.first.stream} at version {each.first.version}, position {each.first.position}"
            out.print(Text(printable(f"{each.name}: the first is in {place}: {each.first.reason}")))
    if report.healthy:
        out.print(Text("all events decode", style="bold green"))
    elif report.failures:
        out.print(Text(f"{report.failures:,} of {report.events:,} events do not decode", style="bold red"))


def _rows(report: CheckReport) -> Iterator[tuple[Value, ...]]:
    for each in report.names:
        first = each.first
        where = (first.position, first.stream, first.version, first.reason) if first else (None, None, None, None)
        yield each.name, each.events, each.event, each.failures, *where
