"""Reading a store whose log files are compressed, beside the same store uncompressed, each opened for one round."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from act_fast import Append, LogStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.row import Measurement, Row
from bench.harness.sizes import Sizes
from bench.rows.packed import (
    PACKED_AGAIN,
    PACKED_BUSY,
    PACKED_EVERY,
    PACKED_LOAD,
    PACKED_SCAN,
    PACKED_SCATTERED,
    PACKED_SPACE,
    PLAIN,
)
from bench.stores.subject import DURABILITY, SUBJECT
from bench.workloads.events import NAMES, payloads, stream_name
from bench.workloads.flights import happenings
from examples.flights.append import append_rest

COMMIT_EVENTS = 1_000
FLIGHTS_A_COMMIT = 100
BUSY = 5
FEW = 20
ROUNDS_TIMES = 3

Read = Callable[[LogStore], object]


@contextmanager
def reading(path: Path, first: Read | None, read: Read) -> Iterator[Body]:
    """A store that is opened before the clock starts, and of which `first` was read."""
    with LogStore(path, durability="os") as store:
        store.load("nothing")
        if first is not None:
            first(store)
        yield lambda: read(store)


def fight(duel: Duel, row: Row, stores: tuple[Path, Path], count: int, read: Read, first: Read | None = None) -> None:
    def contender(name: str, path: Path) -> Contender:
        return Contender(name, DURABILITY["os"], count, lambda _: reading(path, first, read))

    packed, plain = stores
    duel.fight(row, contender(SUBJECT, packed), contender(PLAIN, plain), rounds_times=ROUNDS_TIMES)


def both(shelf: Path, name: str, fill: Callable[[LogStore], object]) -> tuple[Path, Path]:
    """A store twice: compressed, and as it was written."""
    plain, packed = shelf / f"{name}-plain", shelf / f"{name}-packed"
    with LogStore(plain, durability="os") as store:
        fill(store)
    shutil.copytree(plain, packed)
    with LogStore(packed, durability="os") as store:
        store.compress(seal=True)
    return packed, plain


def load_all(store: LogStore, streams: list[str]) -> None:
    for stream in streams:
        for _ in store.load(stream):
            pass


@pytest.fixture(scope="module")
def flights(shelf: Path, sizes: Sizes) -> tuple[Path, Path]:
    part = happenings(sizes.scale)
    return both(shelf, "flights", lambda store: append_rest(store, part, FLIGHTS_A_COMMIT, lambda head: None))


@pytest.fixture(scope="module")
def streams(sizes: Sizes) -> list[str]:
    return [stream_name(number) for number in range(sizes.scaled(4_000, at_least=FEW))]


@pytest.fixture(scope="module")
def scattered(shelf: Path, sizes: Sizes, streams: list[str]) -> tuple[Path, Path]:
    pool = payloads(sizes.scaled(400_000, at_least=4 * len(streams)))
    names, turn = cycle(NAMES), cycle(streams)

    def fill(store: LogStore) -> None:
        for start in range(0, len(pool), COMMIT_EVENTS):
            part = pool[start : start + COMMIT_EVENTS]
            store.append_many([Append(next(turn), [(next(names), data)]) for data in part])

    return both(shelf, "scattered", fill)


@pytest.fixture(scope="module")
def few(streams: list[str]) -> list[str]:
    return streams[:: len(streams) // FEW][:FEW]


def bench_space(duel: Duel, flights: tuple[Path, Path]) -> None:
    def measure() -> float:
        with LogStore(flights[0], durability="os") as store:
            shares = store.stats().shares
        assert shares is not None
        return shares.compressed.here / shares.compressed.written

    duel.time(measure, rounds=1)
    duel.observe(PACKED_SPACE, [Measurement(SUBJECT, DURABILITY["os"], [measure()])])


def bench_scan(duel: Duel, flights: tuple[Path, Path]) -> None:
    def scan(store: LogStore) -> None:
        for _ in store.query():
            pass

    with LogStore(flights[1]) as store:
        count = store.head
    fight(duel, PACKED_SCAN, flights, count, scan)


@pytest.mark.parametrize("row", [PACKED_LOAD, PACKED_SCATTERED, PACKED_EVERY, PACKED_AGAIN], ids=lambda row: row.key)
def bench_loads(duel: Duel, row: Row, scattered: tuple[Path, Path], streams: list[str], few: list[str]) -> None:
    loaded = {PACKED_LOAD.key: few[1:2], PACKED_EVERY.key: streams}.get(row.key, few)
    with LogStore(scattered[1]) as store:
        count = sum(store.version(stream) for stream in loaded)

    def load(store: LogStore) -> None:
        load_all(store, loaded)

    fight(duel, row, scattered, count, load, load if row is PACKED_AGAIN else None)


def bench_busy(duel: Duel, shelf: Path, sizes: Sizes) -> None:
    pool = payloads(sizes.scaled(600_000, at_least=1_000))
    quiet = sizes.scaled(4_000)

    def fill(store: LogStore) -> None:
        for number, data in enumerate(pool):
            turn = number // 2
            stream = f"busy-{turn % BUSY}" if number % 2 == 0 else stream_name(turn % quiet)
            store.append(stream, [(NAMES[number % len(NAMES)], data)])

    stores = both(shelf, "busy", fill)
    fight(duel, PACKED_BUSY, stores, len(range(2, len(pool) // 2, BUSY)), lambda store: load_all(store, ["busy-2"]))
