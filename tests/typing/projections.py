"""Methods of projections are checked against the events that they are for."""

import sqlite3
from typing import assert_type

from act_fast import Act, Committed, LogStore, Projection, Slice, SqlProjection, StateProjection, batch, on

from .domain import Account, Deposited, Opened


class Right(Projection, name="right", lane="slow", priority=3, retries=1):
    @on(Deposited)
    def deposited(self, event: Committed[Deposited]) -> None:
        assert_type(event.data.amount, int)

    @on(Opened)
    async def opened(self, event: Committed[Opened]) -> None: ...

    @batch(Deposited, Opened)
    def many(self, events: list[Committed[Deposited | Opened]]) -> None: ...


class RightSql(SqlProjection, name="sql"):
    tables = ("sums",)

    def setup(self, db: sqlite3.Cursor) -> None:
        db.execute(f"create table if not exists {self.table('sums')} (amount int)")

    @on(Deposited)
    def deposited(self, event: Committed[Deposited], db: sqlite3.Cursor) -> None: ...


def right(connection: sqlite3.Connection) -> None:
    projection = RightSql(connection)
    app = Act(LogStore.memory(), Account, Slice(Right()), projection, StateProjection(Account, connection, table="a"))
    app.include(RightSql(lambda: connection, name="other"))
    app.rebuild(projection, progress=lambda done, total: None)
    app.rebuild("other", resume=False)
    app.wait_for(5, projection)


class Wrong(Projection):
    @on(Deposited)  # type: ignore[arg-type]
    def other(self, event: Committed[Opened]) -> None: ...

    @on(Deposited)  # type: ignore[arg-type]
    def bare(self, event: Deposited) -> None: ...

    @batch(Deposited)  # type: ignore[arg-type]
    def single(self, event: Committed[Deposited]) -> None: ...


def wrong(connection: sqlite3.Connection, app: Act) -> None:
    StateProjection(Deposited, connection, table="a")  # type: ignore[type-var]
    Act("bank.act", Right)  # type: ignore[arg-type]
    on(Account)  # type: ignore[type-var]
    app.rebuild(5)  # type: ignore[arg-type]
