"""The tables of a store in MySQL or MariaDB; made and checked."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pymysql
from pymysql.constants import ER

from act_fast.errors import StoreError, StoreFormatError, StoreLockedError
from act_fast.stores.database.formats import Migrations, Upgraded, check_format, steps_from
from act_fast.stores.mysql.connections import Connection, code_of, run

__all__ = ["MIGRATIONS", "prepare", "prepare_reactions", "upgrade"]

_LOCK_SECONDS: Final = 60
_MYSQL_MIN: Final = (8, 0, 16)
_MARIADB_MIN: Final = (10, 11)

# Positions come from the one row of `log`. It stays locked until its transaction is over, so positions are dense and
# become visible in their own order: a reader that sees one has seen all before it. auto_increment promises neither.
# Names are bytes: collations take some names for the same that are not. What is made is not undone when something after
# it fails, so `log` comes last: without its row there is no store.
# What reactions have come to: lines of 64 bytes, by address; see the schema in PostgreSQL.
_REACTIONS: Final = (
    """
    create table if not exists {schema}.reaction_changes (
        number bigint not null primary key,
        mark bigint not null,
        packed longblob not null
    ) engine = InnoDB row_format = dynamic
    """,
    """
    create table if not exists {schema}.reaction_lines (
        address bigint not null primary key,
        page blob not null
    ) engine = InnoDB
    """,
    """
    create table if not exists {schema}.reactions (
        one tinyint not null primary key,
        number bigint not null,
        mark bigint not null,
        folded bigint not null
    ) engine = InnoDB
    """,
    "insert ignore into {schema}.reactions (one, number, mark, folded) values (1, 0, 0, 0)",
)
# The tags of all events, each with the positions where it is.
_TAGS: Final = """
create table if not exists {schema}.tags (
    tag varbinary(512) not null,
    position bigint not null,
    primary key (tag, position)
) engine = InnoDB row_format = dynamic
"""
_TABLES: Final = (
    """
    create table if not exists {schema}.events (
        position bigint not null primary key,
        commit_position bigint not null,
        stream varbinary(512) not null,
        version bigint not null,
        name varbinary(512) not null,
        created_us bigint not null,
        data longblob not null,
        meta longblob not null,
        correlation longblob,
        correlation_start varbinary(64),
        tags mediumtext character set utf8mb4 collate utf8mb4_bin,
        unique key by_stream (stream, version),
        key by_name (name, position),
        key by_correlation (correlation_start, position)
    ) engine = InnoDB row_format = dynamic
    """,
    """
    create table if not exists {schema}.streams (
        stream varbinary(512) not null primary key,
        version bigint not null,
        first_position bigint not null,
        last_position bigint not null,
        first_us bigint not null,
        last_us bigint not null,
        last_name varbinary(512) not null,
        unique key by_position (first_position)
    ) engine = InnoDB row_format = dynamic
    """,
    _TAGS,
    # How many events there are of each name, up to a position; `names` counts those that come after it.
    """
    create table if not exists {schema}.names (
        name varbinary(512) not null primary key,
        count bigint not null
    ) engine = InnoDB row_format = dynamic
    """,
    """
    create table if not exists {schema}.counted (
        one tinyint not null primary key,
        position bigint not null
    ) engine = InnoDB
    """,
    "insert ignore into {schema}.counted (one, position) values (1, 0)",
    """
    create table if not exists {schema}.snapshots (
        stream varbinary(512) not null,
        version bigint not null,
        created_us bigint not null,
        data longblob not null,
        primary key (stream, version)
    ) engine = InnoDB row_format = dynamic
    """,
    # What became of each writer's last batch: after a broken connection it tells whether the batch is there.
    """
    create table if not exists {schema}.writers (
        writer varchar(36) character set ascii collate ascii_bin not null primary key,
        batch bigint not null,
        outcome longblob not null,
        seen datetime not null
    ) engine = InnoDB row_format = dynamic
    """,
    *_REACTIONS,
    """
    create table if not exists {schema}.log (
        one tinyint not null primary key check (one = 1),
        format integer not null,
        store_id varchar(36) character set ascii not null,
        position bigint not null,
        created_us bigint not null,
        moved text character set utf8mb4
    ) engine = InnoDB
    """,
)
_BEGIN: Final = """
insert ignore into {schema}.log (one, format, store_id, position, created_us) values (1, %s, %s, 0, 0)
"""

# For people: names and payloads as text, times as times.
_VIEW: Final = """
create or replace view {schema}.readable_events as
    select position, convert(stream using utf8mb4) as stream, version, convert(name using utf8mb4) as name,
        date_add('1970-01-01 00:00:00.000000', interval created_us microsecond) as created,
        convert(data using utf8mb4) as data, nullif(convert(meta using utf8mb4), '') as meta, tags
    from {schema}.events
"""

MIGRATIONS: Migrations = (
    (
        "alter table {schema}.events add column tags mediumtext character set utf8mb4 collate utf8mb4_bin",
        _TAGS,
    ),
)
"""What leads from the tables of earlier versions to those that are made now."""


def prepare(connection: Connection, prefix: str, store_id: str, create: bool) -> str:
    """Make sure that there is a store of a format that this version knows, making one if that is wanted.

    Returns:
        the id of the store, which is `store_id` if it was made just now.

    Raises:
        StoreFormatError: there is something else, or a store of another format.
        StoreError: there is no store and none is to be made, or the database cannot hold one.
    """
    found = _found(connection, prefix)
    if found is None and create:
        _check_server(connection)
        _create(connection, prefix, store_id)
        found = _found(connection, prefix)
    if found is None:
        raise StoreError(
            f"there is no store with the prefix {prefix!r} in this database;"
            " to make one, open it with create=True, or let `act-fast store init` do so"
        )
    number, known = found
    check_format(number, _format(), _store(prefix))
    return known


def prepare_reactions(connection: Connection, prefix: str) -> None:
    """Make the tables of reactions where there are none: the store is of a version that had none."""
    try:
        there = run(connection, f"select 1 from {prefix}_reactions")[-1]
    except pymysql.Error as error:
        if code_of(error) != ER.NO_SUCH_TABLE:
            raise
        there = []
    if not there:
        with _alone(connection, prefix):
            for statement in _REACTIONS:
                run(connection, _named(statement, prefix))


def upgrade(connection: Connection, prefix: str) -> Upgraded:
    """Bring the tables of a store to the format of this version, step by step.

    Raises:
        StoreFormatError: they are of a newer format, or something else.
        StoreError: there is no store.
    """
    with _alone(connection, prefix):
        found = _found(connection, prefix)
        if found is None:
            raise StoreError(
                f"there is no store with the prefix {prefix!r} in this database; `act-fast store init` makes one"
            )
        for number, statements in steps_from(found[0], MIGRATIONS, _store(prefix)):
            for statement in statements:
                _step(connection, _named(statement, prefix))
            _make_view(connection, prefix)
            run(connection, f"update {prefix}_log set format = %s where one = 1", (number,))
    return Upgraded(found[0], _format())


def _format() -> int:
    return len(MIGRATIONS) + 1


def _store(prefix: str) -> str:
    return f"the store with the prefix {prefix!r}"


def _found(connection: Connection, prefix: str) -> tuple[int, str] | None:
    try:
        rows = run(connection, f"select format, store_id from {prefix}_log where one = 1")[-1]
    except pymysql.Error as error:
        if code_of(error) == ER.NO_SUCH_TABLE:
            return None
        if code_of(error) == ER.BAD_FIELD_ERROR:
            raise StoreFormatError(
                f"this database has a table `{prefix}_log` that is not act-fast's; choose another prefix, as in"
                " ?prefix=bank"
            ) from None
        raise
    return rows[0] if rows else None


def _check_server(connection: Connection) -> None:
    ((told,),) = run(connection, "select version()")[-1]
    version = tuple(int(each) for each in re.findall(r"\d+", told.removeprefix("5.5.5-"))[:3])
    kind, needed = ("MariaDB", _MARIADB_MIN) if "MariaDB" in told else ("MySQL", _MYSQL_MIN)
    if version < needed:
        raise StoreError(
            f"this server is {kind} {'.'.join(map(str, version))}; act-fast needs {'.'.join(map(str, needed))} or newer"
        )


def _create(connection: Connection, prefix: str, store_id: str) -> None:
    with _alone(connection, prefix):
        for statement in _TABLES:
            run(connection, _named(statement, prefix))
        _make_view(connection, prefix)
        run(connection, _named(_BEGIN, prefix), (_format(), store_id))


def _step(connection: Connection, statement: str) -> None:
    try:
        run(connection, statement)
    except pymysql.Error as error:
        if code_of(error) != ER.DUP_FIELDNAME:
            raise  # the column was added already, by an upgrade that failed after it


def _make_view(connection: Connection, prefix: str) -> None:
    try:
        run(connection, _named(_VIEW, prefix))
    except pymysql.Error as error:
        if code_of(error) not in (ER.TABLEACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR):
            raise  # only people look at it, and a user who may make tables may not be allowed to make views


@contextmanager
def _alone(connection: Connection, prefix: str) -> Iterator[None]:
    """Keep other programs from making or upgrading the same tables."""
    lock = "concat('act_fast.', md5(concat(database(), '.', %s)))"  # a name has at most 64 letters
    ((got,),) = run(connection, f"select get_lock({lock}, %s)", (prefix, _LOCK_SECONDS))[-1]
    if got != 1:
        raise StoreLockedError("another program has been making this store for a minute; try again later")
    try:
        yield
    finally:
        run(connection, f"select release_lock({lock})", (prefix,))


def _named(statement: str, prefix: str) -> str:
    return statement.replace("{schema}.", f"{prefix}_")
