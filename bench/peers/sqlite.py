"""Bare sqlite3 in WAL mode: one table that says what an event is; its unique key is the version check."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from bench.harness.duel import Body, Contender
from bench.harness.threads import in_threads
from bench.workloads.events import Batch, Library, Single

__all__ = ["sqlite_batched", "sqlite_load", "sqlite_scan", "sqlite_single"]

Synchronous = Literal["OFF", "FULL"]
EventRow = tuple[str, int, str, bytes]

DURABILITY: dict[Synchronous, str] = {"OFF": "process: synchronous OFF", "FULL": "power cut: synchronous FULL"}
TABLE = (
    "create table if not exists events(position integer primary key, stream text, version integer, name text,"
    " data blob, unique(stream, version))"
)
INSERT = "insert into events(stream, version, name, data) values (?, ?, ?, ?)"


def sqlite_single(events: Sequence[Single], synchronous: Synchronous, *, threads: int = 1) -> Contender:
    """One insert a commit. Many threads take turns on one connection, since SQLite has one writer anyway."""
    work = [(event.stream, event.expected_version + 1, event.name, event.data) for event in events]
    turn = threading.Lock()

    def insert(connection: sqlite3.Connection, rows: Sequence[EventRow]) -> None:
        for row in rows:
            with turn:
                connection.execute(INSERT, row)

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with connected(path, synchronous) as connection:
            if threads == 1:
                yield lambda: insert(connection, work)
            else:
                yield in_threads([partial(insert, connection, work[i::threads]) for i in range(threads)])

    name = "sqlite3 WAL, one insert a commit" + (f", {threads} threads in turn" if threads > 1 else "")
    return Contender(f"{name}, synchronous {synchronous}", DURABILITY[synchronous], len(work), prepare)


def sqlite_batched(commits: Sequence[Batch], synchronous: Synchronous) -> Contender:
    """1,000 inserts a commit, by executemany."""
    work = [
        [(commit.stream, commit.expected_version + i, name, data) for i, (name, data) in enumerate(commit.events, 1)]
        for commit in commits
    ]

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with connected(path, synchronous) as connection:
            yield lambda: insert_all(connection, work)

    name = f"sqlite3 WAL, 1,000 inserts a commit, synchronous {synchronous}"
    return Contender(name, DURABILITY[synchronous], sum(map(len, work)), prepare)


def sqlite_load(path: Path, library: Library, streams: Sequence[str]) -> Contender:
    """Each stream by its key, in the order of versions."""
    fill(path, library)
    query = "select position, stream, version, name, data from events where stream = ? order by version"

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with connected(path, "OFF") as connection:
            yield lambda: [connection.execute(query, (stream,)).fetchall() for stream in streams]

    return Contender("sqlite3, by key", DURABILITY["OFF"], len(streams) * library.events_a_stream, prepare)


def sqlite_scan(path: Path, library: Library) -> Contender:
    """All rows, in the order of positions."""
    fill(path, library)

    def walk(connection: sqlite3.Connection) -> None:
        for _ in connection.execute("select position, stream, version, name, data from events order by position"):
            pass

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with connected(path, "OFF") as connection:
            yield lambda: walk(connection)

    return Contender("sqlite3, all rows", DURABILITY["OFF"], library.events, prepare)


def fill(path: Path, library: Library) -> None:
    path.mkdir()
    with connected(path, "OFF") as connection:
        insert_all(connection, [library.rows()])


def insert_all(connection: sqlite3.Connection, commits: Sequence[Sequence[EventRow] | Iterator[EventRow]]) -> None:
    for rows in commits:
        connection.execute("begin")
        connection.executemany(INSERT, rows)
        connection.execute("commit")


@contextmanager
def connected(path: Path, synchronous: Synchronous) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path / "events.db", isolation_level=None, check_same_thread=False)
    try:
        connection.execute("pragma journal_mode=wal")
        connection.execute(f"pragma synchronous={synchronous}")
        connection.execute(TABLE)
        yield connection
    finally:
        connection.close()
