"""Ourselves as a contender: the store as its users drive it, and the core as the store drives it.

The difference between the two is what the Python face costs.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from act_fast import Append, LogStore
from act_fast._core import Log
from bench.harness.duel import Body, Contender
from bench.workloads.events import Library

__all__ = [
    "CORE",
    "DURABILITY",
    "PAGE_ROWS",
    "SUBJECT",
    "Durability",
    "core_writer",
    "memory_writer",
    "open_core",
    "reader",
    "write_library",
    "writer",
]

Durability = Literal["os", "fsync"]

SUBJECT = "act-fast"
CORE = "act-fast, the core without the Python face"
DURABILITY: dict[Durability, str] = {"os": 'process: "os"', "fsync": 'power cut: "fsync"'}
PAGE_ROWS = 1_000
FLUSH_INTERVAL_MS = 100
SEGMENT_BYTES = 64 << 20
PAYLOAD_BYTES_MAX = 16 << 20


def writer(
    count: int, work: Callable[[LogStore], object], *, name: str = SUBJECT, durability: Durability = "os"
) -> Contender:
    """`work` on a new store, which is opened before the clock starts and closed after it stops."""

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with LogStore(path / "store", durability=durability) as store:
            yield lambda: work(store)

    return Contender(name, DURABILITY[durability], count, prepare)


def memory_writer(count: int, work: Callable[[LogStore], object]) -> Contender:
    """The same on a store in memory."""

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with LogStore.memory() as store:
            yield lambda: work(store)

    return Contender("act-fast, in memory", "none: in memory", count, prepare)


def core_writer(count: int, work: Callable[[Log], object]) -> Contender:
    """The same on the core's own handle."""

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with closing(open_core(path / "store")) as log:
            yield lambda: work(log)

    return Contender(CORE, DURABILITY["os"], count, prepare)


def reader(count: int, work: Callable[[], object], *, name: str = SUBJECT) -> Contender:
    """Reading from a store that is open already."""

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        yield work

    return Contender(name, DURABILITY["os"], count, prepare)


def open_core(path: Path) -> Log:
    return Log.open(str(path), "os", FLUSH_INTERVAL_MS, SEGMENT_BYTES, PAYLOAD_BYTES_MAX, False, True)


def write_library(store: LogStore, library: Library) -> None:
    """The whole library, in its own commits."""
    for parts in library.commits():
        store.append_many([Append(stream, events) for stream, events in parts])
