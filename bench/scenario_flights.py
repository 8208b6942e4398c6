"""What `make demo` does with a year of flights, with a part of it: append, fold, react."""

from pathlib import Path

import pytest

from act_fast import Act, LogStore
from bench.harness.duel import Duel
from bench.harness.sizes import Sizes
from bench.rows.scenarios import FLIGHTS_APPEND, FLIGHTS_FOLD, FLIGHTS_REACT
from bench.stores.subject import reader, writer
from bench.workloads import flights
from examples.flights.aircraft import Aircraft
from examples.flights.append import append_rest
from examples.flights.source import Happening
from examples.flights.statistics import LANE, declare_reactions, statistics_at

EVENTS_A_COMMIT = 1_000
PARTS = 6


@pytest.fixture(scope="module")
def happenings(sizes: Sizes) -> list[Happening]:
    return flights.happenings(sizes.scale / PARTS)


def bench_append(duel: Duel, happenings: list[Happening]) -> None:
    def append(store: LogStore) -> None:
        append_rest(store, happenings, EVENTS_A_COMMIT, lambda head: None)

    duel.fight(
        FLIGHTS_APPEND,
        writer(len(happenings), append),
        writer(len(happenings), append, name="act-fast, fsync", durability="fsync"),
    )


def bench_fold(duel: Duel, happenings: list[Happening], shelf: Path) -> None:
    with LogStore(shelf / "store", durability="os") as store:
        append_rest(store, happenings, EVENTS_A_COMMIT, lambda head: None)
        app = Act(store, Aircraft)
        streams = [info.stream for info in store.streams()]

        def fold() -> None:
            for _ in app.replay(Aircraft, progress=False):
                pass

        def load_each() -> None:
            for stream in streams:
                app.load(Aircraft, stream, position=store.head)

        duel.fight(
            FLIGHTS_FOLD,
            reader(len(happenings), fold),
            reader(len(happenings), load_each, name="act-fast, a load for each aircraft"),
        )


def bench_react(duel: Duel, happenings: list[Happening], shelf: Path) -> None:
    with (
        LogStore(shelf / "reacting", durability="os") as store,
        statistics_at(str(shelf / "statistics.db")) as statistics,
        Act(store, Aircraft, lanes=[LANE]) as app,
    ):
        append_rest(store, happenings[: len(happenings) // PARTS], EVENTS_A_COMMIT, lambda head: None)
        declare_reactions(app, statistics)
        app.settle()
        handled: list[int] = []

        def again() -> None:
            app.reset(pattern="")
            handled.append(app.settle().drained.handled)

        again()
        duel.fight(FLIGHTS_REACT, reader(handled[0], again))
