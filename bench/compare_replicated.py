"""The store on several machines beside its engine alone: what a replica costs, and what it gives."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from act_fast import Act, LogStore, Store
from act_fast.stores.replicated import ReplicatedStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.harness.threads import in_threads
from bench.peers.nats import DURABILITY, published, published_together
from bench.rows.peers import EMBEDDED
from bench.rows.replicated import (
    REPLICATED_APPEND_1,
    REPLICATED_APPEND_BATCH,
    REPLICATED_DO_64,
    REPLICATED_LOAD,
)
from bench.stores.databases import started
from bench.stores.subject import SUBJECT
from bench.workloads.bank import Account
from bench.workloads.events import Library, Single, singles, stream_name
from tests.support.nats import NatsServers, nats_servers

THREADS = 64
BATCH_THREADS = 16
BATCH_EVENTS = 100
RECORD_BYTES = 250
"""About what a record of one event has."""

BATCH_RECORD_BYTES = 11_000
names = count()


@pytest.fixture(scope="module")
def servers() -> Iterator[NatsServers]:
    yield from started(nats_servers(3, flushing=True))


@contextmanager
def opened(servers: NatsServers, folder: Path) -> Iterator[ReplicatedStore]:
    name = f"bench-{next(names)}"
    with ReplicatedStore(f"{servers.url(name)}?replica={folder / name}") as store:
        yield store


def bench_replicated_commits_of_one_thread(duel: Duel, sizes: Sizes, servers: NatsServers) -> None:
    events = singles(sizes.scaled(400), streams=sizes.scaled(40))

    @contextmanager
    def prepare(folder: Path) -> Iterator[Body]:
        with opened(servers, folder) as store:
            yield partial(append, store, events)

    duel.fight(
        REPLICATED_APPEND_1,
        Contender(SUBJECT, DURABILITY, len(events), prepare),
        *published(servers, len(events), RECORD_BYTES),
    )


def bench_replicated_do(duel: Duel, sizes: Sizes, servers: NatsServers) -> None:
    each = sizes.scaled(100)

    @contextmanager
    def prepare(folder: Path) -> Iterator[Body]:
        with opened(servers, folder) as store:
            app = Act(store, Account)
            for number in range(THREADS):
                app.do(Account.open, stream_name(number), owner="Ada")

            def deposit(stream: str) -> None:
                for _ in range(each):
                    app.do(Account.deposit, stream, amount=5)

            yield in_threads([partial(deposit, stream_name(number)) for number in range(THREADS)])

    duel.fight(REPLICATED_DO_64, Contender(SUBJECT, DURABILITY, THREADS * each, prepare))


def bench_replicated_batches(duel: Duel, sizes: Sizes, servers: NatsServers) -> None:
    each = max(1, sizes.scaled(1_600) // BATCH_THREADS)
    events = [(event.name, event.data) for event in singles(BATCH_EVENTS, streams=1)]

    @contextmanager
    def prepare(folder: Path) -> Iterator[Body]:
        with opened(servers, folder) as store:

            def write(stream: str) -> None:
                for _ in range(each):
                    store.append(stream, events)

            yield in_threads([partial(write, stream_name(number)) for number in range(BATCH_THREADS)])

    made = each * BATCH_THREADS
    duel.fight(
        REPLICATED_APPEND_BATCH,
        Contender(SUBJECT, DURABILITY, made * BATCH_EVENTS, prepare),
        *published_together(servers, made, BATCH_RECORD_BYTES, BATCH_EVENTS),
    )


def bench_replicated_load(duel: Duel, sizes: Sizes, servers: NatsServers, tmp_path: Path) -> None:
    library = Library(streams=sizes.scaled(50), events_a_stream=1_000)
    streams = [stream_name(number) for number in range(library.streams)]

    def loading(name: str, store: Store) -> Contender:
        for parts in library.commits():
            for stream, events in parts:
                store.append(stream, events)

        def load() -> None:
            for stream in streams:
                assert sum(1 for _ in store.load(stream)) == library.events_a_stream

        @contextmanager
        def prepare(_: Path) -> Iterator[Body]:
            yield load

        return Contender(name, DURABILITY, library.events, prepare)

    with opened(servers, tmp_path) as replica, LogStore(tmp_path / "log", durability="os") as log:
        duel.fight(REPLICATED_LOAD, loading(SUBJECT, replica), loading(EMBEDDED, log))


def append(store: Store, events: Sequence[Single]) -> None:
    for event in events:
        store.append(event.stream, [(event.name, event.data)], expected_version=event.expected_version)
