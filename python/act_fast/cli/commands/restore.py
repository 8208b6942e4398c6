"""`act-fast restore PATH SOURCE`: a log rebuilt from an export."""

from argparse import Namespace

from act_fast._app.restoring import restore_address
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.output.progress import progress_bar
from act_fast.monitoring.words import counted
from act_fast.stores.values import Restored

__all__ = ["add"]

DESCRIPTION = """\
Create a store from the events of an export (.jsonl, .csv, .parquet, or a folder
of Parquet files), or fill one that is empty. A store that holds events is
refused; with --replace, everything in it is replaced. A complete new log is
built beside the old one, read back, and put in its place in one step. If
anything is wrong, you are told the file and line, and nothing is changed. No
other program may have the store open. Reactions start again from the first
event afterwards. A database is filled in one transaction, and must be empty."""

EXAMPLES = """\
bank.act events.parquet
new.act events.jsonl --dry-run
bank.act monday.parquet --replace
postgresql://host/bank events.parquet"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "restore", _run, summary="make a log from an export", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address, there or not")
    parser.add_argument("source", metavar="SOURCE", help="the export")
    parser.add_argument("--replace", action="store_true", help="replace what is in the store")
    parser.add_argument("--dry-run", action="store_true", help="only check the source")


def _run(arguments: Namespace) -> int:
    with progress_bar("restoring", in_bytes=True) as progress:
        restored = restore_address(
            arguments.path,
            arguments.source,
            replace=arguments.replace,
            dry_run=arguments.dry_run,
            progress=progress,
        )
    would = "would be restored" if arguments.dry_run else "restored"
    print(f"{_counts(restored)} {would} from {arguments.source}")
    if restored.held:
        print(f"{counted(restored.held, 'commit')} with a time earlier than the one before: given that one's time")
    if restored.causes_lost:
        print(f"{counted(restored.causes_lost, 'commit')} caused by an event that is not in the source")
    return 0


def _counts(restored: Restored) -> str:
    return (
        f"{counted(restored.events, 'event')} in {counted(restored.commits, 'commit')} and"
        f" {counted(restored.streams, 'stream')}"
    )
