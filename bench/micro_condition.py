"""What a condition on tags adds to an append to a large store whose every event has tags."""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from time import perf_counter

from act_fast import Append, Condition, LogStore, Query
from bench.harness.duel import Duel
from bench.harness.row import Measurement
from bench.harness.sizes import Sizes
from bench.rows.log import CONDITION
from bench.stores.subject import DURABILITY, SUBJECT
from bench.workloads.events import BATCH_EVENTS

COURSES, STUDENTS = 1_000, 100_000
DATA = b'{"amount":5,"currency":"EUR"}'
BOUNDARIES = {
    SUBJECT: Query.of(names=["Enrolled", "Defined"], tags=["course:7"]) | Query.of(tags=["student:7"]),
    f"{SUBJECT}, one tag": Query.of(tags=["course:7"]),
    f"{SUBJECT}, two tags at once": Query.of(tags=["course:7", "student:7"]),
}
"""As a decision on two views has it, and simpler ones."""


def bench_condition(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    appends = sizes.scaled(5_000, at_least=10)
    added: dict[str, list[float]] = {name: [] for name in BOUNDARIES}
    with LogStore(shelf / "store", durability="os") as store:
        for commit in commits(sizes.growth_events):
            store.append_many(commit)

        def run() -> None:
            plain = append_us(store, appends, None)
            for name, boundary in BOUNDARIES.items():
                added[name].append(append_us(store, appends, boundary) - plain)

        duel.time(run, rounds=sizes.rounds, warmup_rounds=1)
    measured = [Measurement(name, DURABILITY["os"], values[1:]) for name, values in added.items()]
    duel.observe(CONDITION, measured)


def append_us(store: LogStore, count: int, boundary: Query | None) -> float:
    """How long an append takes on average; the looking before it is not counted."""
    seconds = []
    for number in range(count):
        event = ("Enrolled", DATA, [f"course:{8 + number % 900}", f"student:{8 + number}"])
        condition = None if boundary is None else Condition(boundary, store.head)
        started = perf_counter()
        store.append("plain", [event], condition=condition)
        seconds.append(perf_counter() - started)
    return mean(seconds) * 1e6


def commits(events: int) -> Iterator[list[Append]]:
    """Enrolments in courses, spread over them evenly."""
    for first in range(0, events, BATCH_EVENTS):
        numbers = range(first, min(first + BATCH_EVENTS, events))
        yield [
            Append(
                f"course-{first // BATCH_EVENTS % COURSES}",
                [("Enrolled", DATA, [f"course:{n % COURSES}", f"student:{n % STUDENTS}"]) for n in numbers],
            )
        ]
