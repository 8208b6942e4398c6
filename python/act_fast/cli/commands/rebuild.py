"""`act-fast rebuild MODULE:APP NAME`: projections once more, from the log."""

from argparse import Namespace

from act_fast import AsyncAct
from act_fast.cli.input.app import find_app
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.rows import printable
from act_fast.monitoring.words import counted

__all__ = ["add"]

DESCRIPTION = """\
Replay the events of projections into fresh copies beside the live ones, then
put the copies in their place. The live ones keep working meanwhile; no other
reaction runs.

MODULE:APP is an app or a function that makes one. If a rebuild of tables was
interrupted, it resumes. Use --anew if the code has changed since: it starts
over from the first event."""

EXAMPLES = """\
bank:app totals
bank:app totals accounts --anew"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "rebuild", _run, summary="rebuild projections", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("app", metavar="MODULE:APP", help="the app whose projections they are")
    parser.add_argument("names", metavar="NAME", nargs="+", help="a projection")
    parser.add_argument("--anew", action="store_true", help="discard what an interrupted rebuild left behind")


def _run(arguments: Namespace) -> int:
    found = find_app(arguments.app)
    app = found.sync if isinstance(found, AsyncAct) else found
    with app:
        for name in arguments.names:
            with progress_bar(f"rebuilding {printable(name)}") as progress:
                events = app.rebuild(name, resume=not arguments.anew, progress=progress)
            print(f"{printable(name)}: {counted(events, 'event')} replayed")
    return 0
