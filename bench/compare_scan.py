"""How fast the whole log is read from its beginning to its end, as events and as columns."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow
import pytest

from act_fast import LogStore
from bench.harness.duel import Duel
from bench.harness.sizes import Sizes
from bench.peers.key_value import lmdb_scan
from bench.peers.machine import log_read
from bench.peers.sqlite import sqlite_scan
from bench.rows.log import SCAN, SCAN_COLUMNS
from bench.stores.subject import CORE, PAGE_ROWS, open_core, reader, write_library
from bench.workloads.events import Library


@pytest.fixture(scope="module")
def library(sizes: Sizes) -> Library:
    return Library(streams=sizes.scaled(1_000, at_least=100), events_a_stream=500)


@pytest.fixture(scope="module")
def store(shelf: Path, library: Library) -> Iterator[LogStore]:
    with LogStore(shelf / "store", durability="os") as store:
        write_library(store, library)
        yield store


def bench_query_over_all(duel: Duel, shelf: Path, library: Library, store: LogStore) -> None:
    with closing(open_core(shelf / "store")) as log:

        def scan() -> None:
            for _ in store.query():
                pass

        def scan_core() -> None:
            query = log.query()
            while query.next_page(PAGE_ROWS) is not None:
                pass

        duel.fight(
            SCAN,
            reader(library.events, scan),
            reader(library.events, scan_core, name=CORE),
            *lmdb_scan(shelf / "lmdb", library),
            sqlite_scan(shelf / "sqlite", library),
            log_read(shelf / "store", library.events),
        )


def bench_scan_of_columns(duel: Duel, shelf: Path, library: Library, store: LogStore) -> None:
    def scan() -> None:
        for _ in pyarrow.RecordBatchReader.from_stream(store.arrow()):
            pass

    duel.fight(
        SCAN_COLUMNS,
        reader(library.events, scan),
        *lmdb_scan(shelf / "lmdb-beside-columns", library),
        log_read(shelf / "store", library.events),
    )
