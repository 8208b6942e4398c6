"""PostgreSQL by itself: the statements that a store in it cannot do without, and no store around them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness.duel import Body, Contender
from bench.harness.threads import in_threads
from bench.peers.absence import needs
from bench.rows.peers import COPY, EVENTSOURCING_POSTGRES, RAW_INSERT, RAW_SELECT
from bench.workloads.events import Batch, Library, Single

if TYPE_CHECKING:
    import psycopg

    from tests.support.servers import PostgresServer

__all__ = ["DURABILITY", "aggregates_in_postgres", "copied", "inserted", "selected"]

DURABILITY = "power cut: synchronous_commit on"
TABLE = (
    "create table raw (position bigint generated always as identity primary key, stream text, version bigint,"
    " name text, data bytea, unique (stream, version))"
)
INSERT = "insert into raw (stream, version, name, data) values (%b, %b, %b, %b)"

Rows = Sequence[tuple[str, int, str, bytes]]


@needs("psycopg", RAW_INSERT)
def inserted(server: "PostgresServer", events: Sequence[Single], *, connections: int = 1) -> list[Contender]:
    """An insert a commit."""
    rows = [(event.stream, event.expected_version + 1, event.name, event.data) for event in events]

    def insert(connection: "psycopg.Connection", share: Rows) -> None:
        with connection.cursor() as cursor:
            for row in share:
                cursor.execute(INSERT, row, prepare=True)

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with ExitStack() as opened:
            url = new_table(server)
            each = [opened.enter_context(connected(url)) for _ in range(connections)]
            if connections == 1:
                yield partial(insert, each[0], rows)
            else:
                yield in_threads([partial(insert, one, rows[i::connections]) for i, one in enumerate(each)])

    name = RAW_INSERT + (f", {connections} connections" if connections > 1 else "")
    return [Contender(name, DURABILITY, len(rows), prepare)]


@needs("psycopg", COPY)
def copied(server: "PostgresServer", commits: Sequence[Batch]) -> list[Contender]:
    """A COPY a commit."""
    work = [
        [(commit.stream, commit.expected_version + i, name, data) for i, (name, data) in enumerate(commit.events, 1)]
        for commit in commits
    ]

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with connected(new_table(server)) as connection:

            def copy() -> None:
                for rows in work:
                    copy_rows(connection, rows)

            yield copy

    return [Contender(COPY, DURABILITY, sum(map(len, work)), prepare)]


@needs("psycopg", RAW_SELECT)
def selected(server: "PostgresServer", library: Library, streams: Sequence[str]) -> list[Contender]:
    """The rows of a stream, as psycopg hands them out."""
    url = new_table(server)
    with connected(url) as connection:
        copy_rows(connection, list(library.rows()))
    question = "select position, stream, version, name, data from raw where stream = %b order by version"

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with connected(url) as connection, connection.cursor(binary=True) as cursor:
            yield lambda: [cursor.execute(question, (stream,), prepare=True).fetchall() for stream in streams]

    return [Contender(RAW_SELECT, DURABILITY, len(streams) * library.events_a_stream, prepare)]


@needs("psycopg_pool", EVENTSOURCING_POSTGRES)
def aggregates_in_postgres(server: "PostgresServer", accounts: int, actions_each: int) -> list[Contender]:
    """Deposits into accounts that the caller holds, one save each."""
    from bench.peers.eventsourcing_bank import Account, Bank

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        env = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_DBNAME": server.new_database(),
            "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(server.port), "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": "unused",
        }  # fmt: skip
        with Bank(env=env) as bank:
            held = [Account(owner="Ada") for _ in range(accounts)]
            bank.save(*held)

            def deposit() -> None:
                for _ in range(actions_each):
                    for account in held:
                        account.deposit(amount=5)
                        bank.save(account)

            yield deposit

    return [Contender(EVENTSOURCING_POSTGRES, DURABILITY, accounts * actions_each, prepare)]


def copy_rows(connection: "psycopg.Connection", rows: Rows) -> None:
    with connection.cursor() as cursor, cursor.copy("copy raw (stream, version, name, data) from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def new_table(server: "PostgresServer") -> str:
    url = server.url(server.new_database())
    with connected(url) as connection:
        connection.execute(TABLE)
    return url


def connected(url: str) -> "psycopg.Connection":
    import psycopg

    return psycopg.connect(url, autocommit=True)
