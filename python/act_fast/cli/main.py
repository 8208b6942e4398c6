"""The command itself: its help, its exit codes, and what a person sees when something goes wrong."""

import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable, Sequence
from importlib import import_module

from act_fast import _core
from act_fast.cli.input.arguments import Parser
from act_fast.cli.output.terminal import guard_terminals
from act_fast.errors import ActError, MoveError, RestoreError, StoreCorruptError

__all__ = ["main"]

COMMANDS = {
    "info": "info",
    "streams": "streams",
    "events": "events",
    "sql": "sql",
    "inspect": "inspect",
    "diagram": "diagram",
    "verify": "verify",
    "check": "check",
    "run": "run",
    "serve": "serve",
    "targets": "targets",
    "timers": "timers",
    "cancel": "timers",
    "why": "why",
    "health": "health",
    "metrics": "metrics",
    "unblock": "handle_targets",
    "reset": "handle_targets",
    "skip": "handle_targets",
    "defer": "handle_targets",
    "prioritize": "handle_targets",
    "forget-reaction": "handle_targets",
    "rebuild": "rebuild",
    "replay": "replay",
    "bench": "bench",
    "backup": "backup",
    "checkpoint": "checkpoint",
    "export": "export",
    "restore": "restore",
    "compress": "compress",
    "decompress": "compress",
    "archive": "archive",
    "unarchive": "archive",
    "move": "move",
    "redact": "redact",
    "prune": "prune",
    "store": "store",
    "forget": "forget",
    "keys": "keys",
}
"""Each command, and its file in `commands`: only what is asked for is imported."""

EPILOG = """\
Listings are tables on a terminal, tab-separated lines without titles in a
pipe, and JSON lines with --json.

exit codes:
  0  all is well
  1  a problem was found: damage, events that do not decode, a blocked target,
     reactions that are too far behind, an export that cannot be restored, a copy
     that differs
  2  wrong usage, or no readable store at the path
  130  interrupted by Ctrl-C
  141  the program that read the output has ended, as head does
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `act-fast` with `argv`, or with the arguments of this process; the exit code is returned.

    Raises:
        SystemExit: after --help or --version, or when the arguments are wrong.
    """
    guard_terminals()
    given = sys.argv[1:] if argv is None else argv
    arguments = _parser(_files(given)).parse_args(given)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 141
    except (ActError, OSError) as error:
        print("act-fast:", *str(error).split(), file=sys.stderr)
        return 1 if isinstance(error, StoreCorruptError | RestoreError | MoveError) else 2
    return code


def _files(argv: Sequence[str]) -> Iterable[str]:
    """The files of the commands that these arguments can concern: all, if it takes their help to say what is wrong."""
    first = argv[0] if argv else ""
    if first == "--version":
        return ()
    return (COMMANDS[first],) if first in COMMANDS else dict.fromkeys(COMMANDS.values())


def _parser(files: Iterable[str]) -> Parser:
    parser = Parser(
        prog="act-fast",
        description="Inspect an act-fast store, run the reactions of an app, and manage their targets.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"act-fast {_core.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for file in files:
        import_module(f"act_fast.cli.commands.{file}").add(commands)
    return parser


def _forget_stdout() -> None:
    """Keep the interpreter from complaining, on its way out, that the pipe is broken."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
