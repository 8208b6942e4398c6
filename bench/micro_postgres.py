"""What reacting on PostgreSQL costs, and how a store in it grows."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import monotonic_ns, perf_counter

import pytest

from act_fast import Act, Append, Committed
from act_fast.stores.postgres import PostgresStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.row import Curve, Measurement
from bench.harness.sizes import Sizes
from bench.peers.postgres import DURABILITY
from bench.rows.postgres import POSTGRES_CLAIM, POSTGRES_DELAY, POSTGRES_GROWTH, POSTGRES_REACT
from bench.stores.databases import started
from bench.stores.reacting import ask, reacting_process, said
from bench.stores.subject import SUBJECT
from bench.workloads.bank import Account, Deposited
from bench.workloads.events import SEED, Library, stream_name
from tests.support.servers import PostgresServer, postgres_server

NOT_WAITED_FOR = "process: what reactions have come to is not waited for"
DATA = ("Deposited", b'{"amount":5}')
EVENTS_A_STREAM = 100
CLAIMED = 100
LEASE_MS = 60_000


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    yield from started(postgres_server(flushing=True))


def bench_postgres_react(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    events = sizes.scaled(20_000, at_least=10)
    duel.fight(
        POSTGRES_REACT,
        reacting(server, SUBJECT, events, events_each=1),
        reacting(server, f"{SUBJECT}, ten events a target", events, events_each=10),
    )


def reacting(server: PostgresServer, name: str, events: int, *, events_each: int) -> Contender:
    """An app with a target for each stream, which has handled nothing yet."""

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with PostgresStore(server.url(server.new_database())) as store, Act(store, Account) as app:
            give(store, range(events // events_each), events_each)
            heard: list[int] = []

            @app.on(Deposited, to="audit-{stream}")
            def react(event: Committed[Deposited]) -> None:
                heard.append(event.position)

            yield app.settle
            assert len(heard) == events // events_each * events_each

    return Contender(name, NOT_WAITED_FOR, events, prepare)


def give(store: PostgresStore, numbers: range, events_each: int = 1) -> None:
    """Append events to these streams, a thousand streams in a commit."""
    for start in range(0, len(numbers), 1_000):
        some = numbers[start : start + 1_000]
        store.append_many([Append(stream_name(number), [DATA] * events_each) for number in some])


def bench_postgres_delay(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    warm_up, count = 10, sizes.scaled(400, at_least=20)
    url = server.url(server.new_database())
    with PostgresStore(url) as store, reacting_process(url) as process:

        def send() -> None:
            for _ in range(warm_up + count):
                store.append("clock", [("Deposited", b'{"amount":%d}' % monotonic_ns())])
                assert said(process) == "heard"

        duel.time(send, rounds=1)
        took_ms = [ns / 1e6 for ns in json.loads(ask(process, "tell"))][warm_up:]
    percentiles = quantiles(took_ms, n=100)
    duel.observe(
        POSTGRES_DELAY,
        [
            Measurement(f"{SUBJECT}, the median", DURABILITY, [percentiles[49]]),
            Measurement(f"{SUBJECT}, 99 in 100 are below", DURABILITY, [percentiles[98]]),
        ],
    )


class Known:
    """An app with many targets, all caught up, of which some get work again and again."""

    def __init__(self, url: str, targets: int) -> None:
        self.targets = targets
        self._turns = 0
        self._store = PostgresStore(url)
        self._app = Act(self._store, Account)

        @self._app.on(Deposited, to="audit-{stream}")
        def react(event: Committed[Deposited]) -> None: ...

        give(self._store, range(targets))
        self._app.settle()
        self.cycles_a_second()

    def cycles_a_second(self) -> float:
        """How often a hundred targets with an event each could be correlated, claimed and finished."""
        self._turns += 1
        step = max(1, self.targets // CLAIMED)
        some = [(self._turns * 7 + i * step) % self.targets for i in range(min(CLAIMED, self.targets))]
        self._store.append_many([Append(stream_name(number), [DATA]) for number in some])
        port = self._app._program.port()
        began = perf_counter()
        self._app.correlate()
        leases = port.claim(None, CLAIMED // 2, CLAIMED // 2, 100, LEASE_MS, 1, port.cut())
        port.finish([(each[0], each[2], each[5][-1][0], "free", 0, 0, "") for each in leases])
        took = perf_counter() - began
        assert len(leases) == len(some)
        return 1 / took

    def close(self) -> None:
        self._app.close()
        self._store.close()


def bench_postgres_claim(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    counts = [sizes.scaled(targets, at_least=CLAIMED) for targets in (2_000, 20_000, 200_000)]
    stores = [Known(server.url(server.new_database()), count) for count in counts]
    rounds: list[list[float]] = []

    def run() -> None:
        speeds = [median(store.cycles_a_second() for _ in range(10)) for store in stores]
        rounds.append([speed / speeds[0] for speed in speeds])

    try:
        duel.time(run, rounds=sizes.rounds, warmup_rounds=1)
    finally:
        for store in stores:
            store.close()
    duel.observe(POSTGRES_CLAIM, [Measurement(SUBJECT, NOT_WAITED_FOR, [each[-1] for each in rounds[1:]])])
    middles = [median(each[at] for each in rounds[1:]) for at in range(len(counts))]
    duel.draw(POSTGRES_CLAIM, [Curve(SUBJECT, [*zip(counts, middles, strict=True)])])


def bench_postgres_growth(duel: Duel, sizes: Sizes, server: PostgresServer) -> None:
    largest = max(sizes.growth_events // 10, 2 * EVENTS_A_STREAM)
    counts = [max(largest // 10, EVENTS_A_STREAM), largest]
    stores = [Grown(server.url(server.new_database()), count) for count in counts]
    verbs: dict[str, Callable[[Grown], float]] = {
        "append": lambda store: store.appends_a_second(sizes.scaled(500)),
        "load 50 events": lambda store: store.loads_a_second(sizes.scaled(500)),
    }
    rounds: list[dict[str, list[float]]] = []

    def run() -> None:
        speeds = {name: [verb(store) for store in stores] for name, verb in verbs.items()}
        rounds.append({name: [speed / found[0] for speed in found] for name, found in speeds.items()})

    try:
        duel.time(run, rounds=sizes.rounds, warmup_rounds=1)
    finally:
        for store in stores:
            store.close()
    last = [Measurement(f"{SUBJECT}, {name}", DURABILITY, [each[name][-1] for each in rounds[1:]]) for name in verbs]
    duel.observe(POSTGRES_GROWTH, sorted(last, key=lambda each: each.middle))
    middles = {name: [median(each[name][at] for each in rounds[1:]) for at in range(len(counts))] for name in verbs}
    duel.draw(POSTGRES_GROWTH, [Curve(name, [*zip(counts, middles[name], strict=True)]) for name in verbs])


class Grown:
    """A store of so many events, brought in by COPY, in which something is done at random places."""

    def __init__(self, url: str, events: int) -> None:
        library = Library(max(events // EVENTS_A_STREAM, 1), EVENTS_A_STREAM)
        self._store = PostgresStore(url)
        self._streams = library.streams
        self._chance = random.Random(SEED)
        with self._store.transfer().taking() as take:
            page = []
            for position, (stream, version, name, data) in enumerate(library.rows(), 1):
                page.append((position, position, stream, version, name, position, data, b"", ()))
                if len(page) == 1_000 or position == library.events:
                    take(page)
                    page = []

    def appends_a_second(self, count: int) -> float:
        names = self._picked(count)
        began = perf_counter()
        for name in names:
            self._store.append(name, [DATA])
        return count / (perf_counter() - began)

    def loads_a_second(self, count: int) -> float:
        names = self._picked(count)
        began = perf_counter()
        for name in names:
            for _ in self._store.load(name, limit=50):
                pass
        return count / (perf_counter() - began)

    def close(self) -> None:
        self._store.close()

    def _picked(self, count: int) -> list[str]:
        return [stream_name(self._chance.randrange(self._streams)) for _ in range(count)]
