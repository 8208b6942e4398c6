"""How fast a stream is read back, as rows and as the state that its events fold into."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from act_fast import Act, LogStore
from bench.harness.duel import Duel
from bench.harness.sizes import Sizes
from bench.peers.aggregates import aggregate_loads, recorder_load
from bench.peers.key_value import lmdb_load
from bench.peers.sqlite import sqlite_load
from bench.peers.umadb import umadb_load
from bench.rows.framework import LOAD_STATE
from bench.rows.log import LOAD_RAW
from bench.stores.subject import CORE, open_core, reader, write_library
from bench.workloads.bank import Account, Deposited, Opened
from bench.workloads.events import Library, stream_name

EVENTS_A_STREAM = 1_000


@pytest.fixture(scope="module")
def library(sizes: Sizes) -> Library:
    return Library(streams=sizes.scaled(200, at_least=2), events_a_stream=EVENTS_A_STREAM)


@pytest.fixture(scope="module")
def store(shelf: Path, library: Library) -> Iterator[LogStore]:
    with LogStore(shelf / "store", durability="os") as store:
        write_library(store, library)
        yield store


def bench_rows(duel: Duel, sizes: Sizes, shelf: Path, library: Library, store: LogStore) -> None:
    streams = [stream_name(i) for i in range(0, library.streams, 4)]
    count = len(streams) * EVENTS_A_STREAM

    def load() -> None:
        for stream in streams:
            for _ in store.load(stream):
                pass

    with closing(open_core(shelf / "store")) as log:

        def load_from_core() -> None:
            for stream in streams:
                after: int | None = 0
                while after is not None:
                    _, after = log.load(stream, after)

        duel.fight(
            LOAD_RAW,
            reader(count, load),
            reader(count, load_from_core, name=CORE),
            *lmdb_load(shelf / "lmdb", library, streams),
            sqlite_load(shelf / "sqlite", library, streams),
            *umadb_load(library, streams),
            *recorder_load(shelf / "recorder", sizes.scaled(10), EVENTS_A_STREAM),
        )


def bench_states(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    streams = [stream_name(i) for i in range(sizes.scaled(200))]
    with LogStore(shelf / "accounts", durability="os") as store:
        for stream in streams:
            store.append(stream, [Opened("Ada"), *[Deposited(5)] * (EVENTS_A_STREAM - 1)])
        app = Act(store, Account)

        def load() -> None:
            for stream in streams:
                app.load(Account, stream, before=EVENTS_A_STREAM + 1)

        assert app.load(Account, streams[0], before=EVENTS_A_STREAM + 1).replayed == EVENTS_A_STREAM
        duel.fight(
            LOAD_STATE,
            reader(len(streams) * EVENTS_A_STREAM, load),
            *aggregate_loads(shelf / "aggregates", sizes.scaled(20), EVENTS_A_STREAM),
        )
