"""How fast a whole log leaves, and comes back."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow
import pytest

from act_fast import Columns, LogStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.row import Measurement, Row
from bench.harness.sizes import CHECKOUT, Sizes
from bench.rows.exchange import (
    ARROW,
    BACKUP,
    EXCHANGE_MEMORY,
    EXPORT_JSONL,
    EXPORT_PARQUET,
    RESTORE,
    RESTORE_CSV,
    RESTORE_JSONL,
)
from bench.rows.peers import FILE_COPY
from bench.stores.subject import DURABILITY, SUBJECT, reader, write_library
from bench.workloads.events import Library


@pytest.fixture(scope="module")
def store(shelf: Path, sizes: Sizes) -> Iterator[LogStore]:
    with LogStore(shelf / "store", durability="os") as store:
        write_library(store, Library(streams=sizes.scaled(5_000, at_least=10), events_a_stream=100))
        store.flush()
        yield store


def bench_export_to_parquet(duel: Duel, store: LogStore) -> None:
    duel.fight(EXPORT_PARQUET, leaving(store.head, lambda path: store.export(path / "events.parquet")))


def bench_export_as_json_lines(duel: Duel, store: LogStore) -> None:
    duel.fight(EXPORT_JSONL, leaving(store.head, lambda path: store.export(path / "events.jsonl")))


@pytest.mark.parametrize(
    ("row", "format"),
    [(RESTORE, "parquet"), (RESTORE_JSONL, "jsonl"), (RESTORE_CSV, "csv")],
    ids=lambda each: str(each),
)
def bench_restore(duel: Duel, shelf: Path, store: LogStore, row: Row, format: str) -> None:
    source = shelf / f"events.{format}"
    store.export(source)

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with LogStore(path / "restored") as empty:
            yield lambda: empty.restore(source, replace=True)
            assert empty.head == store.head

    duel.fight(row, Contender(SUBJECT, DURABILITY["fsync"], store.head, prepare))


def bench_arrow(duel: Duel, store: LogStore) -> None:
    without_json = [(name, name) for name in ("position", "stream", "version", "name", "created")]
    duel.fight(
        ARROW,
        reader(store.head, lambda: read_to_the_end(store.arrow())),
        reader(
            store.head,
            lambda: read_to_the_end(store._log.columns(without_json)),
            name=f"{SUBJECT}, the columns that need no JSON",
        ),
    )


def read_to_the_end(found: Columns) -> None:
    for _ in pyarrow.RecordBatchReader.from_stream(found):
        pass


def bench_memory(duel: Duel, shelf: Path, sizes: Sizes) -> None:
    folder = shelf / "memory"
    folder.mkdir()
    with LogStore(folder / "store", durability="os") as store:
        write_library(store, Library(streams=sizes.scaled(5_000, at_least=10), events_a_stream=100))
    command = [sys.executable, "-m", "bench.stores.lone_process", "exchange", str(folder / "store"), str(folder)]
    told: dict[str, float] = {}

    def run() -> None:
        said = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
        told.update(json.loads(said))

    duel.time(run, rounds=1)
    found = [Measurement(f"{SUBJECT}, {name}", DURABILITY["os"], [mib]) for name, mib in told.items()]
    duel.observe(EXCHANGE_MEMORY, found)


def bench_backup(duel: Duel, shelf: Path, store: LogStore) -> None:
    log = Path(store.path) / "log"
    mib = max(store.backup(shelf / "sized").bytes >> 20, 1)
    duel.fight(
        BACKUP,
        leaving(mib, lambda path: store.backup(path / "backup")),
        Contender(FILE_COPY, "power cut: fsync", mib, copying(log)),
    )


def leaving(count: int, work: Callable[[Path], object]) -> Contender:
    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        yield lambda: work(path)

    return Contender(SUBJECT, DURABILITY["fsync"], count, prepare)


def copying(source: Path) -> Callable[[Path], object]:
    def copy(path: Path) -> None:
        for file in sorted(source.iterdir()):
            with file.open("rb") as whole, (path / file.name).open("wb") as made:
                shutil.copyfileobj(whole, made, 1 << 20)
                made.flush()
                os.fsync(made.fileno())

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        yield lambda: copy(path)

    return prepare
