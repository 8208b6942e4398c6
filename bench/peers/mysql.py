"""MariaDB by itself: the statements that a store in it cannot do without, and no store around them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.harness.duel import Body, Contender
from bench.harness.threads import in_threads
from bench.peers.absence import needs
from bench.rows.peers import MYSQL_INSERT, MYSQL_INSERT_MANY, MYSQL_SELECT
from bench.stores.databases import FLUSHED
from bench.workloads.events import Batch, Library, Single

if TYPE_CHECKING:
    from tests.support.mariadb import MariaDbServer

__all__ = ["inserted", "inserted_together", "selected"]

TABLE = (
    "create table raw (position bigint auto_increment primary key, stream varchar(512) character set utf8mb4"
    " collate utf8mb4_bin, version bigint, name varchar(512), data longblob, unique (stream, version))"
)
INSERT = "insert into raw (stream, version, name, data) values (%s, %s, %s, _binary %s)"

Rows = Sequence[tuple[str, int, str, bytes]]


@needs("pymysql", MYSQL_INSERT)
def inserted(server: "MariaDbServer", events: Sequence[Single], *, connections: int = 1) -> list[Contender]:
    """An insert a commit."""
    rows = [(event.stream, event.expected_version + 1, event.name, event.data) for event in events]

    def insert(connection: Any, share: Rows) -> None:
        with connection.cursor() as cursor:
            for row in share:
                cursor.execute(INSERT, row)

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with ExitStack() as opened:
            database = new_table(server)
            each = [opened.enter_context(closing(connected(server, database))) for _ in range(connections)]
            if connections == 1:
                yield partial(insert, each[0], rows)
            else:
                yield in_threads([partial(insert, one, rows[i::connections]) for i, one in enumerate(each)])

    name = MYSQL_INSERT + (f", {connections} connections" if connections > 1 else "")
    return [Contender(name, FLUSHED, len(rows), prepare)]


@needs("pymysql", MYSQL_INSERT_MANY)
def inserted_together(server: "MariaDbServer", commits: Sequence[Batch]) -> list[Contender]:
    """A statement a commit."""
    work = [
        [(commit.stream, commit.expected_version + i, name, data) for i, (name, data) in enumerate(commit.events, 1)]
        for commit in commits
    ]

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with closing(connected(server, new_table(server))) as connection:

            def insert() -> None:
                for rows in work:
                    insert_rows(connection, rows)

            yield insert

    return [Contender(MYSQL_INSERT_MANY, FLUSHED, sum(map(len, work)), prepare)]


@needs("pymysql", MYSQL_SELECT)
def selected(server: "MariaDbServer", library: Library, streams: Sequence[str]) -> list[Contender]:
    """The rows of a stream, as PyMySQL hands them out."""
    database = new_table(server)
    with closing(connected(server, database)) as connection:
        insert_rows(connection, list(library.rows()))
    question = "select position, stream, version, name, data from raw where stream = %s order by version"

    def select(cursor: Any) -> None:
        for stream in streams:
            cursor.execute(question, (stream,))
            cursor.fetchall()

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with closing(connected(server, database)) as connection, connection.cursor() as cursor:
            yield partial(select, cursor)

    return [Contender(MYSQL_SELECT, FLUSHED, len(streams) * library.events_a_stream, prepare)]


def insert_rows(connection: Any, rows: Rows) -> None:
    with connection.cursor() as cursor:
        for start in range(0, len(rows), 1_000):
            some = rows[start : start + 1_000]
            places = ",".join(["(%s, %s, %s, _binary %s)"] * len(some))
            values = [value for row in some for value in row]
            cursor.execute(f"insert into raw (stream, version, name, data) values {places}", values)


def new_table(server: "MariaDbServer") -> str:
    database = server.new_database()
    with closing(connected(server, database)) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
    return database


def connected(server: "MariaDbServer", database: str) -> Any:
    import pymysql

    return pymysql.connect(
        host="127.0.0.1", port=server.port, user="root", database=database, charset="utf8mb4", autocommit=True
    )
