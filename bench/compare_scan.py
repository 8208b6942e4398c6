"""How fast the whole log is read from its beginning to its end."""

from contextlib import closing
from pathlib import Path

import pyarrow

from act_fast import LogStore
from bench.harness.duel import Duel
from bench.harness.sizes import Sizes
from bench.peers.key_value import lmdb_scan
from bench.peers.machine import log_read
from bench.peers.sqlite import sqlite_scan
from bench.rows.log import SCAN, SCAN_COLUMNS
from bench.stores.subject import CORE, PAGE_ROWS, open_core, reader, write_library
from bench.workloads.events import Library


def bench_query_over_all(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    library = Library(streams=sizes.scaled(1_000, at_least=100), events_a_stream=500)
    with LogStore(shelf / "store", durability="os") as store, closing(open_core(shelf / "store")) as log:
        write_library(store, library)

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


def bench_scan_of_columns(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    library = Library(streams=sizes.scaled(1_000, at_least=100), events_a_stream=500)
    with LogStore(shelf / "store", durability="os") as store:
        write_library(store, library)

        def scan() -> None:
            for _ in pyarrow.RecordBatchReader.from_stream(store.arrow()):
                pass

        duel.fight(
            SCAN_COLUMNS,
            reader(library.events, scan),
            *lmdb_scan(shelf / "lmdb", library),
            log_read(shelf / "store", library.events),
        )
