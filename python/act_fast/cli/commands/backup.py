"""`act-fast backup PATH DEST`: a copy of a store that is in use."""

from argparse import Namespace

from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.output.progress import progress_bar
from act_fast.errors import ValidationError
from act_fast.monitoring.words import counted
from act_fast.stores.log.store import LogStore

__all__ = ["add"]

DESCRIPTION = """\
Copy the store, as it is now, to a new directory, while programs keep using it.
The copy is read back and flushed before it gets its name, so it is there
completely or not at all. It is a store like any other: open it, or put it in
the place of one that was lost. Of a store with an archive, it has the stubs and
needs the same archive, unless you ask for all of it with --whole."""

EXAMPLES = """\
bank.act /backups/bank-2026-01-31.act
bank.act /backups/bank-2026-01-31.act --whole"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "backup", _run, summary="copy a store that is in use", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory")
    parser.add_argument("target", metavar="DEST", help="where to put the copy; nothing may be there yet")
    parser.add_argument("--whole", action="store_true", help="also copy what is archived")


def _run(arguments: Namespace) -> int:
    if "://" in arguments.path or "://" in arguments.target:
        raise ValidationError(
            "a backup is made of a directory, to a directory; a database is backed up by its own tools, and"
            " `act-fast move --copy` copies a store from one to the other"
        )
    with (
        LogStore(arguments.path, read_only=True, create=False) as store,
        progress_bar("copying", in_bytes=True) as progress,
    ):
        made = store.backup(arguments.target, whole=arguments.whole, progress=progress)
    print(f"{arguments.target}: {counted(made.position, 'event')} in {counted(made.streams, 'stream')}, whole")
    return 0
