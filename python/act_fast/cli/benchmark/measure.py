"""What a machine and a disk give: each inner loop of the package measured for a moment, in a store of its own."""

import os
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple, TypeAlias

import msgspec

from act_fast._app.act import Act
from act_fast.cli.benchmark.account import Account, Deposited, Opened
from act_fast.stores.log.store import Durability, LogStore

__all__ = ["WORKS", "Figure", "measure"]

ROUNDS_MIN: Final = 3
BATCH_EVENTS: Final = 1_000
STREAMS: Final = [f"account-{number}" for number in range(100)]
EVENT: Final = ("Deposited", msgspec.json.encode(Deposited(5)))
BATCH: Final = [EVENT] * BATCH_EVENTS
THREADS: Final = 16
DISK_BYTES: Final = 150

OF_PROCESS: Final = 'the process: "os"'
OF_POWER: Final = 'a power cut: "fsync"'

Rounds: TypeAlias = Generator[int, None, None]
"""Measures itself once for each value it is asked for, forever; closing it clears up."""


class Figure(msgspec.Struct, frozen=True):
    """What one kind of work came to.

    Attributes:
        work: what was done.
        survives: what it survives.
        median: of the rounds, in `unit`.
        lowest: of the rounds.
        highest: of the rounds.
        unit: more is better where it ends in `/s`, else less is.
    """

    work: str
    survives: str
    median: int
    lowest: int
    highest: int
    unit: str


class Work(NamedTuple):
    """One inner loop."""

    name: str
    survives: str
    unit: str
    rounds: Callable[[Path], Rounds]


def measure(folder: Path, seconds_each: float) -> Iterator[Figure]:
    """Measure every kind of work in a folder of its own within `folder`; nothing of it is left.

    Args:
        folder: where; on the disk that is to be measured.
        seconds_each: for how long to repeat each kind of work.

    Raises:
        OSError: the folder cannot be written to.
        StoreError: a store cannot be made there.
    """
    for work in WORKS:
        with tempfile.TemporaryDirectory(prefix="act-fast-bench-", dir=folder) as scratch:
            with closing(work.rounds(Path(scratch))) as rounds:
                found = _repeated(rounds, seconds_each)
            yield Figure(work.name, work.survives, round(median(found)), min(found), max(found), work.unit)


def _repeated(rounds: Rounds, seconds: float) -> list[int]:
    next(rounds)  # the first warms up what all later ones use
    until = perf_counter() + seconds
    found: list[int] = []
    while len(found) < ROUNDS_MIN or perf_counter() < until:
        found.append(next(rounds))
    return found


def _rate(count: int, work: Callable[[], object]) -> int:
    started = perf_counter()
    work()
    return round(count / (perf_counter() - started))


def _flushes_of_the_disk(folder: Path) -> Rounds:
    file = os.open(folder / "raw", os.O_RDWR | os.O_CREAT, 0o600)
    flush = getattr(os, "fdatasync", os.fsync)
    try:
        os.pwrite(file, bytes(1 << 20), 0)
        os.fsync(file)

        def write(times: int) -> None:
            for i in range(times):
                os.pwrite(file, bytes(DISK_BYTES), i * DISK_BYTES)
                flush(file)

        while True:
            yield _rate(20, lambda: write(20))
    finally:
        os.close(file)


def _appends(folder: Path, durability: Durability, events: int) -> Rounds:
    def append() -> None:
        for stream in STREAMS[:streams]:
            store.append(stream, BATCH[:events])

    streams = len(STREAMS) if durability == "os" and events == 1 else 20
    with LogStore(folder / "store", durability=durability) as store:
        while True:
            yield _rate(streams * events, append)


def _appends_of_threads(folder: Path) -> Rounds:
    each = 20

    def append(start: threading.Barrier, stream: str) -> None:
        start.wait()
        for _ in range(each):
            store.append(stream, [EVENT])

    with LogStore(folder / "store", durability="fsync") as store:
        while True:
            start = threading.Barrier(THREADS + 1)
            threads = [threading.Thread(target=append, args=(start, stream)) for stream in STREAMS[:THREADS]]
            for thread in threads:
                thread.start()
            start.wait()
            yield _rate(THREADS * each, partial(_join, threads))


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _actions(folder: Path, durability: Durability) -> Rounds:
    streams = STREAMS if durability == "os" else STREAMS[:10]
    with LogStore(folder / "store", durability=durability) as store:
        app = Act(store, Account)
        for stream in streams:
            app.do(Account.open, stream, owner="Ada")
        while True:
            yield _rate(len(streams), lambda: [app.do(Account.deposit, stream, amount=5) for stream in streams])


def _library(folder: Path) -> LogStore:
    store = LogStore(folder / "store", durability="os")
    for stream in STREAMS[:20]:
        store.append(stream, [Opened("Ada"), *[Deposited(5)] * (BATCH_EVENTS - 1)])
    return store


def _loads_of_rows(folder: Path) -> Rounds:
    with _library(folder) as store:
        while True:
            yield _rate(BATCH_EVENTS, lambda: [*store.load(STREAMS[0])])


def _loads_of_states(folder: Path) -> Rounds:
    with _library(folder) as store:
        app = Act(store, Account)
        while True:
            yield _rate(BATCH_EVENTS, lambda: app.load(Account, STREAMS[0], before=BATCH_EVENTS + 1))


def _queries(folder: Path) -> Rounds:
    with _library(folder) as store:
        while True:
            yield _rate(20 * BATCH_EVENTS, lambda: sum(1 for _ in store.query()))


def _replays(folder: Path) -> Rounds:
    with _library(folder) as store:
        app = Act(store, Account)
        while True:
            yield _rate(20 * BATCH_EVENTS, lambda: sum(1 for _ in app.replay(Account, progress=False)))


def _reactions(folder: Path) -> Rounds:
    with LogStore(folder / "store", durability="os") as store:
        app = Act(store, Account)

        @app.on(Deposited, to="audit-{stream}")
        def audit(event: object) -> None:
            pass

        while True:
            for stream in STREAMS:
                store.append(stream, [Deposited(5)] * 20)
            yield _rate(len(STREAMS) * 20, app.settle)


def _opens(folder: Path) -> Rounds:
    _library(folder).close()
    while True:
        started = perf_counter()
        with LogStore(folder / "store", durability="os"):
            took = perf_counter() - started
        yield round(took * 1e6)


WORKS: Final = [
    Work("the disk itself: write 150 bytes, flush", OF_POWER, "writes/s", _flushes_of_the_disk),
    Work("append, an event a commit", OF_POWER, "events/s", partial(_appends, durability="fsync", events=1)),
    Work("append, an event a commit, 16 threads", OF_POWER, "events/s", _appends_of_threads),
    Work("append, 1,000 events a commit", OF_POWER, "events/s", partial(_appends, durability="fsync", events=1_000)),
    Work("append, an event a commit", OF_PROCESS, "events/s", partial(_appends, durability="os", events=1)),
    Work("append, 1,000 events a commit", OF_PROCESS, "events/s", partial(_appends, durability="os", events=1_000)),
    Work("do: load, decide, fold, append", OF_POWER, "actions/s", partial(_actions, durability="fsync")),
    Work("do: load, decide, fold, append", OF_PROCESS, "actions/s", partial(_actions, durability="os")),
    Work("load a stream of 1,000 events", "", "events/s", _loads_of_rows),
    Work("load a state of 1,000 events", "", "events/s", _loads_of_states),
    Work("query all events", "", "events/s", _queries),
    Work("replay all states", "", "events/s", _replays),
    Work("react, a call for each event", OF_PROCESS, "events/s", _reactions),
    Work("open a store of 20,000 events", "", "µs", _opens),
]
