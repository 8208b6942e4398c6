"""Sums kept in SQL, and a worker that is to be killed: `python -m tests.support.totals STORE DB`."""

import sqlite3
import sys
from typing import Any

import duckdb

from act_fast import Act, Committed, Lane, LogStore, SqlProjection, on
from tests.support.bank import Account, Deposited, Withdrawn


class Totals(SqlProjection, name="totals", backoff=0):
    """What each account has taken in, and how many events that were; a slip in exactly-once shows in both."""

    tables = ("totals",)
    fails_on: int | None = None

    def setup(self, db: Any) -> None:
        db.execute(
            f"create table if not exists {self.table('totals')}"
            " (stream text primary key, amount bigint not null, events bigint not null)"
        )

    @on(Deposited)
    def deposited(self, event: Committed[Deposited], db: Any) -> None:
        if event.data.amount == self.fails_on:
            raise ValueError("not this one")
        self._add(event.stream, event.data.amount, db)

    @on(Withdrawn)
    def withdrawn(self, event: Committed[Withdrawn], db: Any) -> None:
        self._add(event.stream, -event.data.amount, db)

    def _add(self, stream: str, amount: int, db: Any) -> None:
        db.execute(
            f"insert into {self.table('totals')} values (?, ?, 1) on conflict (stream)"
            " do update set amount = amount + excluded.amount, events = events + 1",
            (stream, amount),
        )


def database_at(database: str) -> Any:
    """A connection of DuckDB or SQLite, as the name of the file says."""
    if database.endswith(".duckdb"):
        return duckdb.connect(database)
    return sqlite3.connect(database, check_same_thread=False, timeout=60)


def work(store: str, database: str) -> None:
    """Keep the projection until killed."""
    connection = database_at(database)
    lane = Lane("default", events_max=7, lease=0.3)
    log = LogStore(store, durability=None, create=False)
    with log, Act(log, Account, Totals(connection), lanes=[lane]) as app:
        print("ready", flush=True)
        app.run()


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2])
