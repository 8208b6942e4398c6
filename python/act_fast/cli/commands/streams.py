"""`act-fast streams PATH`: which streams there are, from the index."""

from argparse import Namespace

from act_fast.cli.input.arguments import Commands, add_command, count
from act_fast.cli.input.store import open_store
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import Column, write_all

__all__ = ["add"]

DESCRIPTION = """\
List the streams in the order of their first events, without reading any.

Columns: stream, version (how many events), the positions of its first and
last event, when the first (not on a terminal) and the last were committed, and
the name of the last one."""

EXAMPLES = """\
bank.act
bank.act --pattern '^account-' --limit 20
bank.act --after account-7 --limit 20
bank.act --json | jq .stream"""

COLUMNS = [
    Column("stream"),
    Column("version"),
    Column("first_position", short="first"),
    Column("last_position", short="last"),
    Column("first_created", in_table=False),
    Column("last_created", short="last created"),
    Column("last_name", short="last event"),
]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "streams", _run, summary="list the streams", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument(
        "--pattern", metavar="REGEX", help="streams whose names match this regular expression; anchor it with ^ and $"
    )
    parser.add_argument("--after", metavar="STREAM", help="only those created after this one")
    parser.add_argument("--limit", metavar="N", type=count, help="at most N of them")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _run(arguments: Namespace) -> int:
    with open_store(arguments.path) as store:
        found = store.streams(pattern=arguments.pattern, after=arguments.after, limit=arguments.limit)
        rows = (
            (s.stream, s.version, s.first_position, s.last_position, s.first_created, s.last_created, s.last_name)
            for s in found
        )
        write_all(rows_to_stdout(COLUMNS, as_json=arguments.json), rows)
    return 0
