"""What was done by hand in the inspector: a line for each change, with who, when and what."""

import threading
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from act_fast._runtime.logger import log
from act_fast.errors import ValidationError

__all__ = ["Audit", "Done"]

_KEPT: Final = 200
_READ_BYTES: Final = 64 * 1024
_DONE: Final = {"unblock": "unblocked", "skip": "skipped at", "defer": "deferred", "cancel": "cancelled"}


class Done(msgspec.Struct, frozen=True):
    """A change made by hand.

    Attributes:
        at: when.
        by: who.
        verb: unblock, skip, reset, defer or cancel.
        target: of which target.
        command: the command that does the same.
        outcome: what came of it.
    """

    at: datetime
    by: str
    verb: str
    target: str
    command: str
    outcome: str


class Audit:
    """Lines of JSON, appended to a file where there is one, and told to the log of the program."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._recent: deque[Done] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def add(self, by: str, verb: str, target: str, command: str, outcome: str) -> None:
        """Record a change."""
        done = Done(datetime.now(UTC), by, verb, target, command, outcome)
        with self._lock:
            self._recent.append(done)
            if self.file is not None:
                with self.file.open("ab") as out:
                    out.write(msgspec.json.encode(done) + b"\n")
        log.info("inspector: %s %s %r: %s", by, _DONE.get(verb, verb), target, outcome)

    def check(self) -> None:
        """Make sure that a change can be recorded before it is made.

        Raises:
            ValidationError: it cannot.
        """
        if self.file is not None:
            try:
                self.file.open("ab").close()
            except OSError as error:
                raise ValidationError(f"changes cannot be recorded, so none is made: {error}") from None

    def recent(self) -> list[Done]:
        """The last changes, the newest first."""
        with self._lock:
            if self.file is None or not self.file.exists():
                return [*reversed(self._recent)]
            with self.file.open("rb") as lines:
                lines.seek(0, 2)
                lines.seek(max(0, lines.tell() - _READ_BYTES))
                return [*reversed([*filter(None, map(_read, lines.read().splitlines()))])][:_KEPT]


def _read(line: bytes) -> Done | None:
    try:
        return msgspec.json.decode(line, type=Done)
    except msgspec.MsgspecError:  # cut off at the beginning, or written by something else
        return None
