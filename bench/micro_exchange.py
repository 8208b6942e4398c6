"""How fast a whole log leaves, and comes back."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from act_fast import LogStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.rows.exchange import BACKUP, EXPORT_JSONL, EXPORT_PARQUET, RESTORE
from bench.rows.peers import FILE_COPY
from bench.stores.subject import DURABILITY, SUBJECT, write_library
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


def bench_restore(duel: Duel, shelf: Path, store: LogStore) -> None:
    source = shelf / "events.parquet"
    store.export(source)

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with LogStore(path / "restored") as empty:
            yield lambda: empty.restore(source)
            assert empty.head == store.head

    duel.fight(RESTORE, Contender(SUBJECT, DURABILITY["fsync"], store.head, prepare))


def bench_backup(duel: Duel, store: LogStore) -> None:
    mib = max(store.stats().bytes >> 20, 1)
    log = Path(store.path) / "log"
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
