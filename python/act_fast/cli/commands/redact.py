"""`act-fast redact PATH`: data that should never have been written is replaced."""

from argparse import ArgumentTypeError, Namespace
from typing import Any

import msgspec

from act_fast._events.meta import ActionCause, Actor, Causation, Meta
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.input.store import open_to_rewrite
from act_fast.cli.output.progress import progress_bar
from act_fast.monitoring.words import counted
from act_fast.stores.values import Redacted

__all__ = ["add"]

DESCRIPTION = """\
Replace data that should never have been written, such as a password in a text
field. Without --yes you are only told what would be changed. A new log is
written, read back, and put in the old one's place in one step; positions,
versions, times and names stay. Snapshots that may hold the data are removed, and
an event $redacted keeps who did it and why. No other program may have the store
open. Backups, exports and copies are not reached."""

EXAMPLES = """\
bank.act --positions 5,9-12 --set '{"note": null}' --reason "a password in a note"
bank.act --positions 5 --drop --reason "ticket 17" --by ada --yes"""

_POSITIONS_MAX = 1_000_000


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "redact", _run, summary="replace data that must go", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory")
    parser.add_argument(
        "--positions", metavar="N,M-N", type=positions, required=True, help="which events, by their positions"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--set", metavar="JSON", type=_fields, help="new values, as an object of fields")
    what.add_argument("--drop", action="store_true", help="remove all data of the events")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; it is kept")
    parser.add_argument("--by", metavar="NAME", help="who does it; it is kept")
    parser.add_argument("--yes", action="store_true", help="do it; otherwise you are only told what would be done")


def positions(text: str) -> list[int]:
    """Positions as `5,9-12`."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise ArgumentTypeError(f"{part!r} is neither a position nor a stretch such as 9-12")
        stretch = range(int(first), int(last or first) + 1)
        if not stretch or len(found) + len(stretch) > _POSITIONS_MAX:
            raise ArgumentTypeError(f"{part!r} names no positions, or too many")
        found += stretch
    return found


def _fields(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise ArgumentTypeError("it must be a JSON object, such as '{\"note\": null}'") from None


def meta_of(verb: str, by: str | None) -> Meta:
    """Who did it from here."""
    return Meta(causation=Causation(ActionCause(f"act-fast {verb}", "", None if by is None else Actor(by))))


def _run(arguments: Namespace) -> int:
    with open_to_rewrite(arguments.path, "redact", only_look=not arguments.yes) as store:
        what: dict[str, Any] = {"fields": arguments.set, "drop": arguments.drop, "reason": arguments.reason}
        if not arguments.yes:
            _tell(store.redact(arguments.positions, **what, dry_run=True), "would be redacted; add --yes to do it")
            return 0
        with progress_bar("redacting", in_bytes=True) as progress:
            meta = meta_of("redact", arguments.by)
            done = store.redact(arguments.positions, **what, meta=meta, progress=progress)
    _tell(done, f"redacted; position {done.position} records it" if done.position else "redacted")
    return 0


def _tell(found: Redacted, what: str) -> None:
    print(f"{counted(len(found.positions), 'event')} in {counted(len(found.streams), 'stream')} {what}")
    if found.snapshots:
        print(f"{counted(found.snapshots, 'snapshot')} removed")
    if found.held:
        held = ", ".join(map(str, found.held))
        print(f"these events hold a later state of the same streams, so look into them, too: {held}")
