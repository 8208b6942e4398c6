"""`act-fast prune PATH`: events below closed books are emptied."""

from argparse import Namespace

from act_fast.cli.commands.redact import meta_of
from act_fast.cli.input.arguments import Commands, add_command, count
from act_fast.cli.input.store import open_to_rewrite
from act_fast.cli.output.progress import progress_bar
from act_fast.monitoring.words import counted

__all__ = ["add"]

DESCRIPTION = """\
Empty the events below the one that closed their stream's books
(`app.restart_stream`, `app.close_stream`), which no state needs any more. They
keep their positions, versions, names and times. Events with tags stay as they
are. Nothing is pruned that a reaction has yet to handle. No other program may
have the store open, unless with --dry-run."""

EXAMPLES = """\
bank.act --dry-run
bank.act --streams '^cart-' --by ada"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "prune", _run, summary="empty events below closed books", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory")
    parser.add_argument("--streams", metavar="PATTERN", help="only streams whose names match, anywhere")
    parser.add_argument("--upto", metavar="N", type=count, help="nothing above this position")
    parser.add_argument("--by", metavar="NAME", help="who does it; it is kept")
    parser.add_argument("--dry-run", action="store_true", help="only report how much would be emptied")


def _run(arguments: Namespace) -> int:
    with (
        open_to_rewrite(arguments.path, "prune", only_look=arguments.dry_run) as store,
        progress_bar("looking" if arguments.dry_run else "pruning") as progress,
    ):
        done = store.prune(
            streams=arguments.streams,
            upto=arguments.upto,
            meta=meta_of("prune", arguments.by),
            dry_run=arguments.dry_run,
            progress=progress,
        )
    would = "would be pruned" if arguments.dry_run else "pruned"
    print(f"{counted(done.events, 'event')} in {counted(done.streams, 'stream')} {would}: {done.bytes:,} bytes of data")
    for part in done.parts:
        print(f"{part.name}\t{part.events}\t{part.bytes}")
    if done.tagged:
        print(f"{counted(done.tagged, 'event')} with tags, or wanted for a key, stay as they are")
    if done.position:
        print(f"the log had {done.bytes_before:,} bytes and has {done.bytes_after:,}")
    return 0
