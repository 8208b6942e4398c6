"""`act-fast export PATH FILE`: events as Parquet, CSV or JSON lines."""

from argparse import Namespace

from act_fast._app.exchange_verbs import log_of
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.input.conditions import add_conditions
from act_fast.cli.input.store import open_store
from act_fast.cli.output.progress import progress_bar
from act_fast.monitoring.words import counted

__all__ = ["add"]

DESCRIPTION = """\
Write events to a file, all of them or those that meet every condition. The
ending of its name chooses the format: .parquet, .csv or .jsonl. The file
appears only once it is complete. A complete export can be restored."""

EXAMPLES = """\
bank.act events.parquet
bank.act today.jsonl --created-after 2026-01-31T00:00:00Z
bank.act parts --partition-by name"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "export", _run, summary="write events to a file", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("target", metavar="FILE", help="the file; a folder with --partition-by")
    add_conditions(parser)
    parser.add_argument("--compression", help="of Parquet: zstd (the default), snappy, gzip, lz4 or uncompressed")
    parser.add_argument("--partition-by", action="append", metavar="COLUMN", help="make a folder of Parquet files")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def _run(arguments: Namespace) -> int:
    with open_store(arguments.path) as store, progress_bar("exporting") as progress:
        made = log_of(store, progress).export(
            arguments.target,
            stream=arguments.stream,
            pattern=arguments.pattern,
            names=arguments.name,
            after=arguments.after,
            before=arguments.before,
            created_after=arguments.created_after,
            created_before=arguments.created_before,
            correlation=arguments.correlation,
            compression=arguments.compression,
            partition_by=arguments.partition_by,
            overwrite=arguments.overwrite,
            progress=progress,
        )
    print(f"{arguments.target}: {counted(made.rows, 'event')}")
    return 0
