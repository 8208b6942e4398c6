"""The store in PostgreSQL beside the server's own statements: what its promises cost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from act_fast import Act
from act_fast.stores.postgres import PostgresStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.harness.threads import in_threads
from bench.peers.postgres import DURABILITY, aggregates_in_postgres, copied, inserted, selected
from bench.rows.postgres import (
    POSTGRES_APPEND_1,
    POSTGRES_APPEND_32,
    POSTGRES_APPEND_BATCH,
    POSTGRES_DO,
    POSTGRES_LOAD,
)
from bench.stores.databases import started
from bench.stores.subject import SUBJECT
from bench.workloads.bank import Account
from bench.workloads.events import BATCH_EVENTS, Batch, Library, Single, batches, singles, stream_name
from tests.support.servers import PostgresServer, postgres_server

THREADS = 32
ACTIONS_EACH = 20


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    yield from started(postgres_server(flushing=True))


def bench_postgres_commits_of_one_client(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    events = singles(sizes.scaled(1_000), streams=sizes.scaled(100))
    duel.fight(POSTGRES_APPEND_1, appended(server, events), *inserted(server, events))


def bench_postgres_commits_of_many_threads(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    events = singles(sizes.scaled(200) * THREADS, streams=THREADS)
    duel.fight(
        POSTGRES_APPEND_32,
        appended(server, events, threads=THREADS),
        *inserted(server, events, connections=THREADS),
    )


def bench_postgres_batches(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    commits = batches(sizes.scaled(50))

    duel.fight(POSTGRES_APPEND_BATCH, appended_together(server, commits), *copied(server, commits))


def bench_postgres_do(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    accounts = sizes.scaled(50)
    streams = [stream_name(i) for i in range(accounts)]

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with Act(server.url(server.new_database()), Account) as app:
            for stream in streams:
                app.do(Account.open, stream, owner="Ada")

            def deposit() -> None:
                for _ in range(ACTIONS_EACH):
                    for stream in streams:
                        app.do(Account.deposit, stream, amount=5)

            yield deposit

    count = accounts * ACTIONS_EACH
    duel.fight(
        POSTGRES_DO,
        Contender(SUBJECT, DURABILITY, count, prepare),
        *inserted(server, singles(count, streams=accounts)),
        *aggregates_in_postgres(server, accounts, ACTIONS_EACH),
    )


def bench_postgres_load(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    library = Library(streams=sizes.scaled(20), events_a_stream=1_000)
    streams = [stream_name(i) for i in range(library.streams)]
    with PostgresStore(server.url(server.new_database())) as store:
        for parts in library.commits():
            for stream, events in parts:
                store.append(stream, events)

        @contextmanager
        def prepare(_: Path) -> Iterator[Body]:
            def load() -> None:
                for stream in streams:
                    assert sum(1 for _ in store.load(stream)) == library.events_a_stream

            yield load

        count = library.events
        duel.fight(POSTGRES_LOAD, Contender(SUBJECT, DURABILITY, count, prepare), *selected(server, library, streams))


def appended(server: PostgresServer, events: Sequence[Single], *, threads: int = 1) -> Contender:
    def append(store: PostgresStore, share: Sequence[Single]) -> None:
        for event in share:
            store.append(event.stream, [(event.name, event.data)], expected_version=event.expected_version)

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with PostgresStore(server.url(server.new_database())) as store:
            if threads == 1:
                yield partial(append, store, events)
            else:
                yield in_threads([partial(append, store, events[i::threads]) for i in range(threads)])

    return Contender(SUBJECT, DURABILITY, len(events), prepare)


def appended_together(server: PostgresServer, commits: Sequence[Batch]) -> Contender:
    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with PostgresStore(server.url(server.new_database())) as store:

            def append() -> None:
                for commit in commits:
                    store.append(commit.stream, commit.events, expected_version=commit.expected_version)

            yield append

    return Contender(SUBJECT, DURABILITY, len(commits) * BATCH_EVENTS, prepare)
