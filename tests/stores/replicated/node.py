"""A node of a replicated store, as a program: it writes, it reacts, and it keeps a note of what it knows to be done.

`python -m tests.stores.replicated.node ADDRESS NOTES NAME SEED`, until it is told to end by SIGTERM. The notes are
lines: `open`, `did STREAM NUMBER` when a deposit was acknowledged, `handled STREAM VERSION` before a reaction returns.
"""

import os
import random
import signal
import sys
import threading

from act_fast import Act, ActError, Committed, Event, Lane, OutcomeUnknownError, State, action, reducer

STREAMS = 6


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


def main(address: str, path: str, name: str, seed: int) -> None:
    notes, dice, ending = Notes(path), random.Random(seed), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with Act(address, Diary, lanes=[Lane("default", lease=2.0)]) as app:

        @app.on(Noted)
        def handle(event: Committed[Noted]) -> None:
            notes.write("handled", event.stream, event.version)

        notes.write("open")
        worker = threading.Thread(target=app.run)
        worker.start()
        number = 0
        while not ending.is_set():
            number += 1
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
        worker.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
