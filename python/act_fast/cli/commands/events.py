"""`act-fast events PATH`: what happened, and what happens next."""

from argparse import Namespace
from collections.abc import Iterator

import msgspec

from act_fast._events.committed import Committed
from act_fast.cli.input.arguments import Commands, add_command, count
from act_fast.cli.input.conditions import add_conditions
from act_fast.cli.input.store import open_store
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import Column, Rows, Value, write_all
from act_fast.errors import ValidationError
from act_fast.stores.port import Store

__all__ = ["add"]

DESCRIPTION = """\
List events in the order of their positions; an event must meet all conditions.

Columns: position, created (when it was committed), stream, version, name and
data, which is cut at a terminal's edge but complete in a pipe. --json adds
meta and tags. With --follow the listing continues with every new event, until Ctrl-C."""

EXAMPLES = """\
bank.act --stream account-7
bank.act --name Deposited --name Withdrawn --backwards --limit 20
bank.act --created-after 2026-01-31 --pattern '^account-'
bank.act --follow --json | jq .data"""

COLUMNS = [
    Column("position"),
    Column("created"),
    Column("stream"),
    Column("version"),
    Column("name"),
    Column("data", stretches=True),
    Column("meta", in_table=False, in_lines=False),
    Column("tags", in_table=False, in_lines=False),
]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "events", _run, summary="list events", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    add_conditions(parser)
    parser.add_argument("--limit", metavar="N", type=count, help="at most N of them")
    parser.add_argument("--backwards", action="store_true", help="from the last to the first")
    parser.add_argument("--follow", action="store_true", help="continue with new events as they are committed")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _run(arguments: Namespace) -> int:
    if arguments.follow and (arguments.backwards or arguments.before or arguments.created_before):
        raise ValidationError("--follow has no end, so it goes with neither --backwards, --before nor --created-before")
    out = rows_to_stdout(COLUMNS, as_json=arguments.json)
    with open_store(arguments.path) as store:
        if arguments.follow:
            _follow(store, arguments, out)
        else:
            found = _query(store, arguments, arguments.after, arguments.before, arguments.limit)
            write_all(out, map(_row, found))
    return 0


def _follow(store: Store, arguments: Namespace, out: Rows) -> None:
    after, remaining = arguments.after, arguments.limit
    while remaining != 0:
        head = store.wait(after)
        written = write_all(out, map(_row, _query(store, arguments, after, head + 1, remaining)))
        after = head
        if remaining is not None:
            remaining -= written


def _query(
    store: Store, arguments: Namespace, after: int, before: int | None, limit: int | None
) -> Iterator[Committed[bytes]]:
    return store.query(
        stream=arguments.stream,
        pattern=arguments.pattern,
        names=arguments.name,
        after=after,
        before=before,
        created_after=arguments.created_after,
        created_before=arguments.created_before,
        correlation=arguments.correlation,
        tags=arguments.tag,
        limit=limit,
        backwards=arguments.backwards,
    )


def _row(event: Committed[bytes]) -> tuple[Value, ...]:
    data = msgspec.Raw(msgspec.json.format(event.data, indent=-1))  # on one line, however it was appended
    meta = msgspec.Raw(msgspec.json.encode(event.meta))
    tags = msgspec.Raw(msgspec.json.encode(event.tags))
    return event.position, event.created, event.stream, event.version, event.name, data, meta, tags
