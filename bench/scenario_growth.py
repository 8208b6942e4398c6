"""Do a store's verbs stay as fast as it grows?"""

import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from act_fast import LogStore
from bench.harness.duel import Duel
from bench.harness.row import Curve, Measurement, Row
from bench.harness.sizes import Sizes
from bench.rows.log import GROWTH, GROWTH_SPREAD, OPEN_COPIED
from bench.stores.grown_store import EVENTS_A_STREAM, GrownStore
from bench.stores.subject import DURABILITY, SUBJECT, write_library
from bench.workloads.events import Library

SMALLEST = 1_000_000
TIMES_EACH_STEP = 10**0.5

Speeds = dict[str, list[float]]
"""Of each verb, in each store."""


def bench_growth(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    stores = [GrownStore(shelf / f"{events}", events) for events in steps(sizes.growth_events)]
    verbs: dict[str, Callable[[GrownStore], float]] = {
        "append": lambda store: store.appends_a_second(sizes.scaled(30_000)),
        "load 50 events": lambda store: store.loads_a_second(sizes.scaled(2_000)),
        "claim": lambda store: store.claims_a_second(sizes.scaled(200)),
        "open": lambda store: store.opens_a_second(sizes.scaled(50)),
    }
    found: dict[Row, list[Speeds]] = {GROWTH: [], GROWTH_SPREAD: []}

    def run() -> None:
        for row, rounds in found.items():
            for store in stores:
                store.names = store.as_many if row is GROWTH else store.everywhere
            rounds.append({name: relative_to_first([verb(store) for store in stores]) for name, verb in verbs.items()})

    try:
        duel.time(run, rounds=sizes.rounds, warmup_rounds=1)
    finally:
        for store in stores:
            store.close()
    for row, rounds in found.items():
        tell(duel, row, [store.events for store in stores], rounds[1:])


def tell(duel: Duel, row: Row, sizes: list[int], rounds: list[Speeds]) -> None:
    names = [*rounds[0]]
    last = [Measurement(f"{SUBJECT}, {name}", DURABILITY["os"], [each[name][-1] for each in rounds]) for name in names]
    duel.observe(row, sorted(last, key=lambda each: each.middle))
    middles = {name: [median(each[name][i] for each in rounds) for i in range(len(sizes))] for name in names}
    duel.draw(row, [Curve(name, [*zip(sizes, middles[name], strict=True)]) for name in names])


def relative_to_first(speeds: list[float]) -> list[float]:
    return [speed / speeds[0] for speed in speeds]


def steps(largest: int) -> list[int]:
    """1 M, 3.2 M, 10 M … or, where less was asked for, a tenth of it and all of it."""
    found = [min(SMALLEST, max(largest // 10, EVENTS_A_STREAM))]
    while found[-1] * TIMES_EACH_STEP < largest * 0.9:
        found.append(round(found[-1] * TIMES_EACH_STEP))
    return [*found, largest]


def bench_open_of_a_copy(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    library = Library(streams=max(sizes.growth_events // 10 // EVENTS_A_STREAM, 10), events_a_stream=EVENTS_A_STREAM)
    with LogStore(shelf / "original", durability="os") as store:
        write_library(store, library)
    seconds: list[float] = []

    def copy() -> None:
        shutil.rmtree(shelf / "copy", ignore_errors=True)
        shutil.copytree(shelf / "original", shelf / "copy")

    def open_copy() -> None:
        started = perf_counter()
        with LogStore(shelf / "copy", durability="os") as store:
            seconds.append(perf_counter() - started)
            assert store.head == library.events

    duel.time(open_copy, setup=copy, rounds=min(3, sizes.rounds))
    duel.observe(OPEN_COPIED, [Measurement(SUBJECT, DURABILITY["os"], [library.events / each for each in seconds])])
