"""Stores that differ in nothing but how large they are, and what is done in them at random places."""

import random
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from act_fast import Append, LogStore
from act_fast._core import Reactions
from bench.stores.subject import write_library
from bench.workloads.events import NAMES, SEED, Library, payloads, stream_name

__all__ = ["EVENTS_A_STREAM", "GrownStore"]

EVENTS_A_STREAM = 100
STREAMS_WORKED_ON = 10_000
OPENED = "AccountOpened"
TARGETS_A_COMMIT = 1_000
CLAIMED = 100
LEASE_MS = 600_000
WINDOW = 10


class GrownStore:
    """A store of `events` events, with a target for each stream that has handled everything so far.

    Work is done on streams of `self.names`: as many in a large store as in a small one, or all there are.
    """

    def __init__(self, path: Path, events: int) -> None:
        self.path = path
        self.events = events
        self.streams = max(events // EVENTS_A_STREAM, 10)
        self.store = LogStore(path, durability="os")
        self.chance = random.Random(SEED)
        self.data = payloads(1_000)
        write_library(self.store, Library(self.streams, EVENTS_A_STREAM - 10))
        names = [stream_name(number) for number in range(self.streams)]
        self.everywhere = names
        self.as_many = names[:: max(self.streams // STREAMS_WORKED_ON, 1)]
        self.names = self.as_many
        for start in range(0, len(names), TARGETS_A_COMMIT):
            self.ask(names[start : start + TARGETS_A_COMMIT])
        self.reactions = Reactions.open(self.store._log)
        self.reactions.register([("audit", [OPENED], "audit-{stream}", None, "default", 0, False, ())])
        self.claims()

    def close(self) -> None:
        self.store.close()

    def appends_a_second(self, count: int) -> float:
        events = [(name, [(NAMES[0], self.data[i % len(self.data)])]) for i, name in enumerate(self.picked(count))]
        started = perf_counter()
        for name, event in events:
            self.store.append(name, event)
        return count / (perf_counter() - started)

    def loads_a_second(self, count: int) -> float:
        names = self.picked(count)
        started = perf_counter()
        for name in names:
            for _ in self.store.load(name, limit=50):
                pass
        return count / (perf_counter() - started)

    def opens_a_second(self, count: int) -> float:
        """Opened beside the handle that is there, as another process would."""
        started = perf_counter()
        for _ in range(count):
            LogStore(self.path, durability="os").close()
        return count / (perf_counter() - started)

    def claims_a_second(self, count: int) -> float:
        """A hundred of the targets get work; all of it is claimed, in one call each time."""
        seconds = 0.0
        for _ in range(count):
            self.ask(sorted(set(self.picked(CLAIMED))))
            seconds += self.claims()
        return count / seconds

    def ask(self, names: Sequence[str]) -> None:
        """Something happens in each of these streams that its target has to handle."""
        self.store.append_many([Append(name, [(OPENED, b"{}")]) for name in names])

    def claims(self) -> float:
        """Claim whatever there is to claim, and acknowledge it; the seconds that claiming took."""
        seconds = 0.0
        while self.reactions.correlate(100_000)[0]:
            pass
        while True:
            started = perf_counter()
            claimed = self.reactions.claim(None, CLAIMED, 0, WINDOW, LEASE_MS, 1, self.store.head)
            took = perf_counter() - started
            if not claimed:
                return seconds
            seconds += took
            self.reactions.finish([(lease[0], lease[2], lease[5][-1][0], "free", 0, 0, "") for lease in claimed])

    def picked(self, count: int) -> list[str]:
        return self.chance.choices(self.names, k=count)
