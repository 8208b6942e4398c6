"""What single steps of reacting cost: a claim, a cycle beside idle targets, and the way to another process."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import monotonic_ns, perf_counter

from act_fast import Act, Append, Committed, LogStore
from act_fast.stores.reaction_port import Leased, ReactionPort
from bench.harness.duel import Duel
from bench.harness.row import Curve, Measurement
from bench.harness.sizes import Sizes
from bench.rows.reactions import CLAIM, CLAIM_GROWTH, LATENCY, LATENCY_99
from bench.stores.reacting import ask, reacting_process, said
from bench.stores.subject import DURABILITY, SUBJECT
from bench.workloads.bank import Account, Deposited
from bench.workloads.events import stream_name

WITH_WORK = 100
LEASE_MS = 60_000
DATA = ("Deposited", b'{"amount":5}')


class Known:
    """An app with many targets, all caught up, of which some get work again and again."""

    def __init__(self, path: Path, targets: int) -> None:
        self.store = LogStore(path, durability="os")
        self.app = Act(self.store, Account)
        self.targets = targets
        self.turns = 0

        @self.app.on(Deposited)
        def react(event: Committed[Deposited]) -> None: ...

        for start in range(0, targets, WITH_WORK):
            self.append(range(start, min(start + WITH_WORK, targets)))
        self.app.settle()

    @property
    def port(self) -> ReactionPort:
        return self.app._program.port()

    def append(self, numbers: Sequence[int]) -> None:
        self.store.append_many([Append(stream_name(number), [DATA]) for number in numbers])

    def give_work(self) -> None:
        """One event for each of a hundred targets, other ones each time."""
        self.turns += 1
        step = max(1, self.targets // WITH_WORK)
        self.append([(self.turns * 7 + i * step) % self.targets for i in range(min(WITH_WORK, self.targets))])

    def claim(self, count: int) -> list[Leased]:
        port = self.port
        return port.claim(None, count - count // 2, count // 2, 100, LEASE_MS, 1, port.cut())

    def finish(self, leases: Sequence[Leased]) -> None:
        self.port.finish([(each[0], each[2], each[5][-1][0], "free", 0, 0, "") for each in leases])

    def close(self) -> None:
        self.app.close()
        self.store.close()


@contextmanager
def known(path: Path, targets: int) -> Iterator[Known]:
    found = Known(path, targets)
    try:
        yield found
    finally:
        found.close()


def bench_claim(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    took: dict[int, list[float]] = {10: [], WITH_WORK: []}
    with known(shelf / "claim", sizes.scaled(1_000_000, at_least=WITH_WORK)) as store:

        def work() -> tuple[tuple[()], dict[str, object]]:
            store.give_work()
            store.app.correlate()
            return (), {}

        def claim_all() -> None:
            leases = timed(took[10], lambda: store.claim(10))
            store.finish(leases)
            store.finish(store.claim(WITH_WORK))
            work()
            leases = timed(took[WITH_WORK], lambda: store.claim(WITH_WORK))
            assert len(leases) == WITH_WORK
            store.finish(leases)

        duel.time(claim_all, setup=work, rounds=sizes.rounds * 5, warmup_rounds=1)
    names = {10: f"{SUBJECT}, ten of them", WITH_WORK: f"{SUBJECT}, all of them"}
    duel.observe(CLAIM, [Measurement(names[count], DURABILITY["os"], took[count][1:]) for count in took])


def timed(into: list[float], work: Callable[[], list[Leased]]) -> list[Leased]:
    """What work gives; how many µs it took is noted."""
    started = perf_counter()
    found = work()
    into.append((perf_counter() - started) * 1e6)
    return found


def bench_claim_growth(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    points: list[tuple[float, float]] = []
    for targets in (1_000, 10_000, 100_000, 1_000_000):
        size = sizes.scaled(targets, at_least=WITH_WORK)
        with known(shelf / f"growth-{targets}", size) as store:

            def cycle() -> None:
                store.app.correlate()
                leases = store.claim(WITH_WORK)
                store.finish(leases)

            cycle()
            points.append((size, median(cycle_us(store, cycle) for _ in range(sizes.rounds * 5))))
    duel.time(lambda: None, rounds=1)
    duel.draw(CLAIM_GROWTH, [Curve(SUBJECT, points)])


def cycle_us(store: Known, cycle: Callable[[], None]) -> float:
    store.give_work()
    started = perf_counter()
    cycle()
    return (perf_counter() - started) * 1e6


def bench_latency(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    warm_up, count = 20, sizes.scaled(2_000, at_least=20)
    with LogStore(shelf / "latency", durability="os") as store, reacting_process(str(shelf / "latency")) as process:

        def send() -> None:
            for _ in range(warm_up + count):
                store.append("clock", [("Deposited", b'{"amount":%d}' % monotonic_ns())])
                assert said(process) == "heard"

        duel.time(send, rounds=1)
        took_us = [ns / 1000 for ns in json.loads(ask(process, "tell"))][warm_up:]
    percentiles = quantiles(took_us, n=100)
    duel.observe(LATENCY, [Measurement(SUBJECT, DURABILITY["os"], [percentiles[49]])])
    duel.observe(LATENCY_99, [Measurement(SUBJECT, DURABILITY["os"], [percentiles[98]])])
