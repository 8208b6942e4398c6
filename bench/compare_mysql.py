"""The store in MariaDB beside the server's own statements: what its promises cost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from act_fast.stores.mysql import MySqlStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.harness.threads import in_threads
from bench.peers.mysql import inserted, inserted_together, selected
from bench.rows.mysql import MYSQL_APPEND_1, MYSQL_APPEND_32, MYSQL_APPEND_BATCH, MYSQL_LOAD
from bench.stores.databases import FLUSHED, started
from bench.stores.subject import SUBJECT
from bench.workloads.events import BATCH_EVENTS, Library, Single, batches, singles, stream_name
from tests.support.mariadb import MariaDbServer, mariadb_server

THREADS = 32


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDbServer]:
    yield from started(mariadb_server(flushing=True))


def bench_mysql_commits_of_one_client(duel: Duel, sizes: Sizes, server: MariaDbServer) -> None:
    events = singles(sizes.scaled(1_000), streams=sizes.scaled(100))
    duel.fight(MYSQL_APPEND_1, appended(server, events), *inserted(server, events))


def bench_mysql_commits_of_many_threads(duel: Duel, sizes: Sizes, server: MariaDbServer) -> None:
    events = singles(sizes.scaled(100) * THREADS, streams=THREADS)
    duel.fight(
        MYSQL_APPEND_32, appended(server, events, threads=THREADS), *inserted(server, events, connections=THREADS)
    )


def bench_mysql_batches(duel: Duel, sizes: Sizes, server: MariaDbServer) -> None:
    commits = batches(sizes.scaled(20))

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with MySqlStore(server.url(server.new_database())) as store:

            def append() -> None:
                for commit in commits:
                    store.append(commit.stream, commit.events, expected_version=commit.expected_version)

            yield append

    subject = Contender(SUBJECT, FLUSHED, len(commits) * BATCH_EVENTS, prepare)
    duel.fight(MYSQL_APPEND_BATCH, subject, *inserted_together(server, commits))


def bench_mysql_load(duel: Duel, sizes: Sizes, server: MariaDbServer) -> None:
    library = Library(streams=sizes.scaled(20), events_a_stream=1_000)
    streams = [stream_name(i) for i in range(library.streams)]
    with MySqlStore(server.url(server.new_database())) as store:
        for parts in library.commits():
            for stream, events in parts:
                store.append(stream, events)

        @contextmanager
        def prepare(_: Path) -> Iterator[Body]:
            def load() -> None:
                for stream in streams:
                    assert sum(1 for _ in store.load(stream)) == library.events_a_stream

            yield load

        duel.fight(
            MYSQL_LOAD, Contender(SUBJECT, FLUSHED, library.events, prepare), *selected(server, library, streams)
        )


def appended(server: MariaDbServer, events: Sequence[Single], *, threads: int = 1) -> Contender:
    def append(store: MySqlStore, share: Sequence[Single]) -> None:
        for event in share:
            store.append(event.stream, [(event.name, event.data)], expected_version=event.expected_version)

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with MySqlStore(server.url(server.new_database())) as store:
            if threads == 1:
                yield partial(append, store, events)
            else:
                yield in_threads([partial(append, store, events[i::threads]) for i in range(threads)])

    return Contender(SUBJECT, FLUSHED, len(events), prepare)
