"""`act-fast restore PATH SOURCE`: a log made anew from an export."""

from argparse import Namespace

from act_fast._app.restoring import restore_address
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.words import counted
from act_fast.stores.values import Restored

__all__ = ["add"]

DESCRIPTION = """\
Put the events of an export (.jsonl, .csv, .parquet, or a folder of Parquet
files) in the place of all that is in the store, or make a store of them where
there is none. A whole new log is made beside the old one, read again, and put
in its place in one step; whatever is wrong is told with file and line, and
nothing is changed then. Nobody else may have the store open. Reactions begin
anew afterwards, with the first event. A database is filled in one transaction,
and must be empty."""

EXAMPLES = """\
bank.act events.parquet
new.act events.jsonl --dry-run
postgresql://host/bank events.parquet"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "restore", _run, summary="make a log from an export", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address, there or not")
    parser.add_argument("source", metavar="SOURCE", help="what was exported")
    parser.add_argument("--dry-run", action="store_true", help="only check the source")


def _run(arguments: Namespace) -> int:
    with progress_bar("restoring", in_bytes=True) as progress:
        restored = restore_address(arguments.path, arguments.source, dry_run=arguments.dry_run, progress=progress)
    would = "would be restored" if arguments.dry_run else "restored"
    print(f"{_counts(restored)} {would} from {arguments.source}")
    if restored.held:
        print(f"{counted(restored.held, 'commit')} older than the one before: given that one's time")
    if restored.causes_lost:
        print(f"{counted(restored.causes_lost, 'commit')} caused by an event that is not in the source")
    return 0


def _counts(restored: Restored) -> str:
    return (
        f"{counted(restored.events, 'event')} in {counted(restored.commits, 'commit')} and"
        f" {counted(restored.streams, 'stream')}"
    )
