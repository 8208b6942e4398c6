"""The log in memory with faults: each is seen as it is told of, and a seed has the same ones again."""

import random
from concurrent.futures import Future

import pytest

from act_fast.errors import EngineAwayError, OutcomeUnknownError, StoreError, TrimmedError
from act_fast.stores.ordered.memory import Faults, MemoryEngine
from act_fast.stores.ordered.port import Entry
from act_fast.testing.conformance.ordered_log import OrderedLogConformance, records


def engine_with(**faults: float) -> MemoryEngine:
    return MemoryEngine(Faults(**faults))  # type: ignore[arg-type]


def error_of(future: Future[int]) -> type[BaseException] | None:
    return type(future.exception(0)) if future.exception(0) else None


def there(engine: MemoryEngine) -> list[bytes]:
    return [entry.record for entry in engine.entries()]


@pytest.mark.parametrize(
    ("fault", "error", "at_once", "in_the_end"),
    [
        ("away", EngineAwayError, [], []),
        ("lost", OutcomeUnknownError, [], []),
        ("landed", OutcomeUnknownError, [b"r"], [b"r"]),
        ("late", OutcomeUnknownError, [], [b"r"]),
        ("doubled", None, [b"r"], [b"r", b"r"]),
    ],
)
def test_a_fault_does_what_is_said_of_it(
    fault: str, error: type[StoreError] | None, at_once: list[bytes], in_the_end: list[bytes]
) -> None:
    engine = engine_with(**{fault: 1.0})
    assert error_of(engine.open().submit(b"r")) is error
    assert there(engine) == at_once
    engine.settle()
    assert there(engine) == in_the_end


def test_held_futures_are_done_in_another_order_than_that_of_the_places() -> None:
    engine = engine_with(held=1.0)
    log, done = engine.open(), list[int]()
    for record in records(50):
        log.submit(record).add_done_callback(lambda future: done.append(future.result()))
    engine.settle()
    assert sorted(done) == list(range(1, 51))
    assert done != sorted(done)
    assert log.append(b"one that waits makes turns") == 51


def test_what_is_late_lands_behind_what_was_submitted_after_it() -> None:
    engine = MemoryEngine(Faults(late=0.5))
    for record in records(50):
        engine.open().submit(record)
    engine.settle()
    assert sorted(there(engine)) == records(50)
    assert there(engine) != records(50)


def test_a_hidden_read_shows_a_beginning_of_what_is_there() -> None:
    engine = engine_with(hidden=0.5)
    log, other = engine.open(), engine.open()
    found: list[Entry] = []
    empty = 0
    for turn in range(50):
        other.append(b"%d" % turn)
        page = log.read(found[-1].place if found else 0)
        empty, found = empty + (not page), found + page
    assert empty > 10
    assert found == engine.entries()[: len(found)]


def test_a_connection_that_is_cut_is_an_error_of_one_read() -> None:
    engine = engine_with(cut=0.5)
    log, read, cut = engine.open(), 0, 0
    log.append(b"r")
    for _ in range(50):
        try:
            read += len(log.read())
        except EngineAwayError:
            cut += 1
    assert read + cut == 50
    assert read > 10
    assert cut > 10


def test_a_log_may_begin_late() -> None:
    engine = MemoryEngine(first=100)
    log = engine.open()
    assert (log.head(), log.first(), log.append(b"r")) == (99, 100, 100)
    with pytest.raises(TrimmedError, match="begins at 100; what follows 98 was trimmed"):
        log.read(98)
    assert log.read(99) == [Entry(100, b"r")]


def a_day(seed: int) -> list[object]:
    """What a program sees on a bad day."""
    engine = MemoryEngine(
        Faults(seed=seed, away=0.1, lost=0.1, landed=0.1, late=0.1, doubled=0.1, held=0.3, hidden=0.3, cut=0.1),
        step_max=3,
    )
    logs, dice, seen = [engine.open(), engine.open()], random.Random(1), list[object]()
    for record in records(200):
        future = logs[dice.randrange(2)].submit(record)
        future.add_done_callback(lambda future: seen.append(error_of(future) or future.result()))
        try:
            seen.append(logs[dice.randrange(2)].read(dice.randrange(100)))
        except EngineAwayError:
            seen.append("cut")
    engine.settle()
    return [*seen, engine.entries()]


def test_the_same_seed_has_the_same_day() -> None:
    assert a_day(1) == a_day(1) != a_day(2)


def test_an_outcome_is_true_on_a_bad_day(seed: int) -> None:
    engine = MemoryEngine(Faults(seed=seed, away=0.1, lost=0.1, landed=0.1, late=0.1, doubled=0.1, hidden=0.3))
    OrderedLogConformance().test_whatever_breaks_an_outcome_is_true(engine.open, engine.settle)
