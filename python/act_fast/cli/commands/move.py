"""`act-fast move SOURCE TARGET`: a store goes to another address, while programs use it."""

import sys
from argparse import ArgumentTypeError, Namespace
from contextlib import suppress
from math import isfinite

import msgspec

from act_fast._app.moving import move_telling
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.terminal import json_line
from act_fast.errors import StoreLockedError
from act_fast.monitoring.words import counted
from act_fast.stores.values import Moved

__all__ = ["add"]

DESCRIPTION = """\
Move everything a store holds to another address, from a directory to a
database, back, or between any two: events with their positions, versions, times
and meta, snapshots, and the progress of reactions. TARGET is created if it does
not exist, and must be empty.

Programs may keep using SOURCE meanwhile. Once everything is copied and has been
compared event by event, the last events are handed over while appends are held
back. A log is handed over once every other program has closed it: the command
says so and waits. From then on, SOURCE takes no more events; programs must open
TARGET.

If a move was interrupted or killed, run it again and it resumes. To go back,
move the other way."""

EXAMPLES = """\
bank.act postgresql://host/bank
postgresql://host/bank bank.act
bank.act postgresql://host/bank --copy"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "move", _run, summary="move a store to another address", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("source", metavar="SOURCE", help="the store's directory, or its address")
    parser.add_argument("target", metavar="TARGET", help="where to move it: a directory, or an address")
    parser.add_argument("--copy", action="store_true", help="only copy and compare: SOURCE stays in use")
    parser.add_argument(
        "--patience", metavar="SECONDS", type=_seconds, help="how long to wait for other programs to close SOURCE"
    )
    parser.add_argument(
        "--restart-reactions", action="store_true", help="let reactions start again from the first event at TARGET"
    )
    parser.add_argument("--json", action="store_true", help="what was moved as one JSON object")


def _run(arguments: Namespace) -> int:
    told: list[None] = []

    def waiting(locked: StoreLockedError) -> None:
        if not told:
            told.append(None)
            with suppress(BrokenPipeError):
                print("act-fast: all is copied; close the source in every program that has it open", file=sys.stderr)

    with progress_bar("moving") as progress:
        moved = move_telling(
            arguments.source,
            arguments.target,
            hand_over=not arguments.copy,
            restart_reactions=arguments.restart_reactions,
            patience=arguments.patience,
            progress=progress,
            waiting=waiting,
        )
    if arguments.json:
        print(json_line(msgspec.json.encode(moved)))
    else:
        _show(moved)
    return 0


def _show(moved: Moved) -> None:
    done = "moved" if moved.handed_over else "copied"
    found = f"{counted(moved.events, 'event')} and {counted(moved.snapshots, 'snapshot')}"
    print(f"{found} {done} from {moved.source} to {moved.target}")
    print(f"the same in both, with the digest {moved.digest}")
    if moved.handed_over:
        print(f"{moved.source} takes no more events; programs must now open {moved.target}")


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not isfinite(found) or found < 0:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return found
