"""Sums kept in SQL, and a worker that is to be killed: `python -m tests.support.totals STORE DB`."""

import sqlite3
import sys
from typing import Any

import duckdb

from act_fast import Act, Committed, Lane, LogStore, SqlProjection, on
from tests.support.bank import Account, Deposited, Withdrawn
from tests.support.databases import execute, fetch


class Totals(SqlProjection, name="totals", backoff=0):
    """What each account has taken in, and how many events that were; a slip in exactly-once shows in both."""

    tables = ("totals",)
    fails_on: int | None = None

    def setup(self, db: Any) -> None:
        columns = "(stream varchar(99) primary key, amount bigint not null, events bigint not null)"
        execute(db, f"create table if not exists {self.table('totals')} {columns}")

    @on(Deposited)
    def deposited(self, event: Committed[Deposited], db: Any) -> None:
        if event.data.amount == self.fails_on:
            raise ValueError("not this one")
        self._add(event.stream, event.data.amount, db)

    @on(Withdrawn)
    def withdrawn(self, event: Committed[Withdrawn], db: Any) -> None:
        self._add(event.stream, -event.data.amount, db)

    def _add(self, stream: str, amount: int, db: Any) -> None:
        table = self.table("totals")
        known = fetch(db, f"select 1 from {table} where stream = ?", [stream])
        if known:
            changed = f"update {table} set amount = amount + ?, events = events + 1 where stream = ?"
            execute(db, changed, [amount, stream])
        else:
            execute(db, f"insert into {table} values (?, ?, 1)", [stream, amount])


def database_at(database: str) -> Any:
    """What a projection connects by to a file of DuckDB or SQLite, or to a server: `psycopg:URL`, `sqlalchemy:URL`."""
    by, _, address = database.partition(":")
    if by == "psycopg":
        import psycopg

        return lambda: psycopg.connect(address)
    if by == "sqlalchemy":
        import sqlalchemy

        return lambda: sqlalchemy.create_engine(address)
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
