"""How fast a large store opens, in a fresh process: after kill -9 of its writer, and after a clean close."""

import random
from pathlib import Path

import pytest

from bench.harness.duel import Duel
from bench.harness.row import Measurement
from bench.harness.sizes import Sizes
from bench.rows.log import OPEN_CLEAN, OPEN_KILLED, OPEN_KILLED_FIRST
from bench.rows.process import OPEN_CLEAN_MEMORY, OPEN_KILLED_MEMORY
from bench.stores.large_store import EVENTS_A_STREAM, LargeStore
from bench.stores.subject import DURABILITY, SUBJECT
from bench.workloads.events import SEED

Told = list[dict[str, float]]


@pytest.fixture(scope="module")
def large_store(shelf: Path, sizes: Sizes) -> LargeStore:
    """Filled once, by a process that is killed when it has written everything and closed nothing."""
    store = LargeStore(shelf / "store", max(sizes.open_events // EVENTS_A_STREAM, 1))
    store.kill_its_first_writer()
    return store


def bench_after_the_kill_of_its_first_writer(duel: Duel, large_store: LargeStore) -> None:
    told: Told = []
    duel.time(lambda: told.append(large_store.open()))
    duel.observe(OPEN_KILLED_FIRST, opening_times(told))


def bench_after_the_kill_of_another_writer(duel: Duel, sizes: Sizes, large_store: LargeStore) -> None:
    chance = random.Random(SEED)
    told: Told = []

    def kill() -> None:
        large_store.kill_another_writer(sizes.scaled(20_000), after_seconds=chance.uniform(0.0, 0.2))

    duel.time(lambda: told.append(large_store.open()), setup=kill, rounds=sizes.rounds)
    duel.observe(OPEN_KILLED, opening_times(told))
    duel.observe(OPEN_KILLED_MEMORY, [memory(told)])


def bench_after_a_clean_close(duel: Duel, sizes: Sizes, large_store: LargeStore) -> None:
    told: Told = []
    cold: Told = []

    def open_cold() -> None:
        large_store.forget_cached_pages()
        cold.append(large_store.open())

    duel.time(lambda: told.append(large_store.open()), setup=open_cold, rounds=sizes.rounds)
    duel.observe(OPEN_CLEAN, [*opening_times(told), opening_times(cold, ", from a cold page cache")[0]])
    duel.observe(OPEN_CLEAN_MEMORY, [memory(told)])


def opening_times(told: Told, how: str = "") -> list[Measurement]:
    return [
        Measurement(SUBJECT + how, DURABILITY["os"], [each["open_ms"] for each in told]),
        Measurement(
            f"{SUBJECT}{how}, and a first stream loaded", DURABILITY["os"], [each["open_and_load_ms"] for each in told]
        ),
    ]


def memory(told: Told) -> Measurement:
    return Measurement(SUBJECT, DURABILITY["os"], [each["memory_mib"] for each in told])
