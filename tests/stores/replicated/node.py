"""A node of a replicated store, as a program: it writes, it reacts, and it keeps a note of what it knows to be done.

`python -m tests.stores.replicated.node ADDRESS NOTES NAME SEED`, until it is told to end by SIGTERM. The notes are
lines: `open`, `did STREAM NUMBER` when a deposit was acknowledged, `handled STREAM VERSION` before a reaction returns,
`gap POSITION` where a follower missed something, and the history of appends and loads: `asks ID STREAM TIME MARK
EXPECTED`, `told ID TIME VERSION ACTUAL` and `read STREAM TIME COUNT DIGEST`.
"""

import os
import random
import signal
import sys
import threading
import time
from itertools import count
from zlib import crc32

from act_fast import (
    Act,
    ActError,
    Committed,
    ConcurrencyError,
    Event,
    Lane,
    OutcomeUnknownError,
    State,
    action,
    reducer,
)
from act_fast.stores.port import Store

STREAMS = 6
HISTORIES = 3
FOLLOW_SECONDS = 0.5


class Noted(Event):
    number: int
    by: str


class Diary(State):
    notes: int = 0

    @reducer
    def noted(self, event: Noted) -> None:
        self.notes += 1

    @action(retries=1000)
    def note(self, number: int, by: str) -> Noted:
        return Noted(number, by)


class Notes:
    """A file of lines, each of which is there once `write` has returned, however the process ends."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def digest(marks: list[str]) -> int:
    """What tells a stream of these marks from others."""
    return crc32("".join(f"{mark}," for mark in marks).encode())


class Historian:
    """Appends to some streams, and reads them, and notes what it asked and what it was told."""

    def __init__(self, store: Store, notes: Notes, name: str, dice: random.Random) -> None:
        self._store, self._notes, self._name, self._dice = store, notes, name, dice
        self._numbers = count(1)

    def ask(self) -> None:
        stream = f"history-{self._dice.randrange(HISTORIES)}"
        if self._dice.random() < 0.3:
            marks = [each.data.decode().strip('"') for each in self._store.load(stream)]
            self._notes.write("read", stream, time.monotonic(), len(marks), digest(marks))
            return
        mark, expected = f"{self._name}.{next(self._numbers)}", None
        if self._dice.random() < 0.8:
            expected = self._store.version(stream)
        self._notes.write("asks", mark, stream, time.monotonic(), expected)
        version = actual = None
        try:
            appended = self._store.append(stream, [("Marked", f'"{mark}"'.encode())], expected_version=expected)
            version = appended.last_version
        except ConcurrencyError as error:
            actual = error.actual
        except OutcomeUnknownError:
            return
        except ActError:
            self._notes.write("never", mark)
            return
        self._notes.write("told", mark, time.monotonic(), version, actual)


def follow(store: Store, notes: Notes, ending: threading.Event) -> None:
    """See each event once, in order."""
    seen = 0
    while not ending.is_set():
        store.wait(seen, FOLLOW_SECONDS)
        for each in store.query(after=seen):
            if each.position != seen + 1:
                notes.write("gap", each.position)
            seen = each.position
    notes.write("followed", seen)


def main(address: str, path: str, name: str, seed: int) -> None:
    notes, dice, ending = Notes(path), random.Random(seed), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with Act(address, Diary, lanes=[Lane("default", lease=2.0)]) as app:

        @app.on(Noted)
        def handle(event: Committed[Noted]) -> None:
            notes.write("handled", event.stream, event.version)

        notes.write("open")
        threads = [
            threading.Thread(target=app.run),
            threading.Thread(target=follow, args=(app.store, notes, ending)),
        ]
        for thread in threads:
            thread.start()
        historian = Historian(app.store, notes, name, dice)
        number = 0
        while not ending.is_set():
            number += 1
            historian.ask()
            stream = f"diary-{dice.randrange(STREAMS)}"
            try:
                app.do(Diary.note, stream, number=number, by=name)
                notes.write("did", stream, number)
            except OutcomeUnknownError:
                notes.write("unknown", stream, number)
            except ActError as error:
                notes.write("refused", stream, number, type(error).__name__, *str(error).split())
                ending.wait(0.2)
        app.stop()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
