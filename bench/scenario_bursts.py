"""Bursts of events into a worker that sleeps between them: how long until each has been handled."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep

from act_fast import Act, LogStore
from bench.harness.duel import Duel
from bench.harness.percentiles import percentile
from bench.harness.row import Curve, Measurement
from bench.harness.sizes import Sizes
from bench.rows.scenarios import BURSTS
from bench.stores.subject import DURABILITY, SUBJECT
from bench.workloads.bank import Account, Deposited
from bench.workloads.events import stream_name

BURSTS_EVENTS = (1, 100, 1_000)
PERCENTILES = (50.0, 90.0, 99.0, 100.0)
PAUSE_SECONDS = 0.02
HANDLED_SECONDS_MAX = 60.0


class Bursts:
    """An app whose one reaction notes when it handled what."""

    def __init__(self, store: LogStore) -> None:
        self.store = store
        self.app = Act(store, Account)
        self.app.on(Deposited, to="audit-{stream}", name="audit")(self.audit)
        self.handled: dict[int, float] = {}
        self.expected = 0
        self.done = threading.Event()

    def audit(self, event) -> None:
        self.handled[event.position] = perf_counter()
        if len(self.handled) == self.expected:
            self.done.set()

    def burst(self, events: int) -> list[float]:
        """Milliseconds from the append to the end of the handler, of each."""
        self.handled.clear()
        self.done.clear()
        self.expected = events
        appended: dict[int, float] = {}
        for number in range(events):
            position = self.store.append(stream_name(number), [Deposited(5)]).last_position
            appended[position] = perf_counter()
        assert self.done.wait(HANDLED_SECONDS_MAX), "the worker has not handled everything"
        return [(self.handled[position] - at) * 1e3 for position, at in appended.items()]

    @contextmanager
    def working(self) -> Iterator[None]:
        worker = threading.Thread(target=self.app.run, daemon=True)
        worker.start()
        try:
            yield
        finally:
            self.app.stop()
            worker.join()


def bench_bursts(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    counts = [sizes.scaled(events) for events in BURSTS_EVENTS]
    rounds: list[list[list[float]]] = []
    with LogStore(shelf / "store", durability="os") as store:
        bursts = Bursts(store)
        bursts.app.settle()

        def run() -> None:
            found = []
            for count in counts:
                sleep(PAUSE_SECONDS)  # the worker goes to sleep in it, as it does between people's requests
                found.append(sorted(bursts.burst(count)))
            rounds.append(found)

        with bursts.working():
            bursts.burst(1)
            duel.time(run, rounds=sizes.rounds * 2, warmup_rounds=1)
    names = [f"{SUBJECT}, {'a single event' if events == 1 else f'{events:,} events'}" for events in BURSTS_EVENTS]
    kept = rounds[1:]
    duel.observe(
        BURSTS,
        [Measurement(f"{name}, the last", DURABILITY["os"], [r[i][-1] for r in kept]) for i, name in enumerate(names)],
    )
    duel.draw(BURSTS, [curve(name, [r[i] for r in kept]) for i, name in enumerate(names)])


def curve(name: str, rounds: list[list[float]]) -> Curve:
    ordered = sorted(each for latencies in rounds for each in latencies)
    return Curve(name, [(of_100, percentile(ordered, of_100)) for of_100 in PERCENTILES])
