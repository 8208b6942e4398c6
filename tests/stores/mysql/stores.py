"""Other programs on a store in MySQL: one that takes its time, and one that is wrong."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest

from act_fast.stores.mysql.address import place_of
from act_fast.stores.mysql.appending import StatementAppending
from act_fast.stores.mysql.connections import Connection, run
from act_fast.stores.mysql.schema import MIGRATIONS

_APPEND = """
select position, created_us into @held, @us from {p}_log where one = 1 for update;
insert into {p}_events (position, commit_position, stream, version, name, created_us, data, meta)
    select @held + i, @held + 1, %s, i, 'Counted', @us, '{{"number":0}}', '' from ({n}) as n;
insert into {p}_streams values (%s, %s, @held + 1, @held + %s, @us, @us, 'Counted');
update {p}_log set position = position + %s where one = 1
"""
_APPEND_BROKEN = """
insert into {p}_events (position, commit_position, stream, version, name, created_us, data, meta)
    select nextval({p}_positions), 0, %s, i, 'Counted', 0, '{{"number":0}}', '' from ({n}) as n
"""
_TABLES = ("events", "tags", "streams", "names", "snapshots", "writers", "reaction_changes", "reaction_lines")


def connected(url: str, **options: Any) -> "pymysql.connections.Connection[Any]":
    """A connection of one's own to the database of a store."""
    return pymysql.connect(
        **place_of(url).options, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS, charset="utf8mb4", **options
    )


def ask(connection: "pymysql.connections.Connection[Any]", statement: str, *given: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement, and none of those after it."""
    with connection.cursor() as cursor:
        cursor.execute(statement, given or None)
        rows = [*cursor.fetchall()]
        while cursor.nextset():
            pass
    return rows


def empty(url: str) -> None:
    """Take everything out of a store, which is quicker than to make another one."""
    prefix = place_of(url).prefix
    with connected(url, autocommit=True) as connection:
        for table in _TABLES:
            ask(connection, f"delete from {prefix}_{table}")
        ask(connection, f"update {prefix}_log set position = 0, created_us = 0")
        ask(connection, f"update {prefix}_counted set position = 0")
        ask(connection, f"update {prefix}_reactions set number = 0, mark = 0, folded = 0")


def without_tags(url: str) -> None:
    """Have a store as versions of act-fast made it that knew no tags."""
    prefix = place_of(url).prefix
    with connected(url, autocommit=True) as connection:
        for statement in (
            *(f"drop table {prefix}_tags", f"drop view {prefix}_readable_events"),
            *(f"alter table {prefix}_events drop column tags", f"update {prefix}_log set format = 1"),
        ):
            ask(connection, statement)


class Held:
    """An append in a transaction that is still open."""

    def __init__(self, connection: "pymysql.connections.Connection[Any]") -> None:
        self._connection = connection

    def commit(self) -> None:
        self._connection.commit()

    def roll_back(self) -> None:
        self._connection.rollback()


@contextmanager
def held_append(url: str, stream: str, count: int, *, broken: bool = False) -> Iterator[Held]:
    """Append as the store itself does, in a transaction that is left open; or as a broken one does."""
    numbers = " union all ".join(f"select {each} as i" for each in range(1, count + 1))
    statement = (_APPEND_BROKEN if broken else _APPEND).format(p=place_of(url).prefix, n=numbers)
    given: Sequence[Any] = (stream,) if broken else (stream, stream, count, count, count)
    with connected(url) as connection:
        ask(connection, statement, *given)
        yield Held(connection)


def take_positions_from_a_sequence(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break a store the way that others were broken: positions from a sequence, and no lock on a counter."""
    prefix = place_of(url).prefix
    with connected(url, autocommit=True) as connection:
        ask(connection, f"create sequence {prefix}_positions")
        ask(connection, f"drop table {prefix}_log")
        # The head that such a store has is the largest position that is visible.
        ask(
            connection,
            f"create view {prefix}_log as select 1 as one, {len(MIGRATIONS) + 1} as format, 'broken' as store_id,"
            f" coalesce(max(position), 0) as position, 0 as created_us from {prefix}_events",
        )

    def append(self: StatementAppending, connection: Connection, writer: object, number: int, batch: Any) -> list[int]:
        outcome: list[int] = []
        for request in batch:
            for stream, events, _ in request.parts:
                for name, data in events:
                    ((at,),) = run(connection, f"select nextval({prefix}_positions)")[-1]
                    version = f"(select coalesce(max(version), 0) + 1 from {prefix}_events e where stream = %s)"
                    row = f"insert into {prefix}_events select %s, %s, %s, {version}, %s, 0, %s, '', null, null, null"
                    run(connection, row, (at, at, stream, stream, name, data))
                outcome += [1, at - len(events) + 1, 0]
        return outcome

    monkeypatch.setattr(StatementAppending, "append", append)


def numbered(number: int) -> list[tuple[str, bytes]]:
    """One event that carries a number."""
    return [("Counted", b'{"number":%d}' % number)]
