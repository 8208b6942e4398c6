"""The kit for ordered logs: a log's own mistakes are found."""

from collections.abc import Callable
from concurrent.futures import Future

import pytest

from act_fast.errors import EngineAwayError
from act_fast.stores.ordered.memory import MemoryEngine, MemoryOrderedLog
from act_fast.stores.ordered.port import Entry
from act_fast.testing.conformance.ordered_log import OrderedLogConformance


@pytest.fixture
def kit() -> OrderedLogConformance:
    return OrderedLogConformance()


class Skipping(MemoryOrderedLog):
    """Shows a record before the one in front of it."""

    hidden = True

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        found = super()._read(after, bytes_max, timeout)
        if len(found) > 1 and self.hidden:
            self.hidden = False
            return found[1:]
        return found


class Reversing(MemoryOrderedLog):
    """Puts a record before the one that was submitted before it."""

    kept: tuple[bytes, Future[int]] | None = None

    def _submit(self, record: bytes) -> Future[int]:
        if not record.rstrip(b".").endswith(b"7"):
            future = super()._submit(record)
            if self.kept is not None:
                (late, waiting), self.kept = self.kept, None
                waiting.set_result(super()._submit(late).result())
            return future
        self.kept = record, Future()
        return self.kept[1]


class Lying(MemoryOrderedLog):
    """Says that a record did not land, which did."""

    def _submit(self, record: bytes) -> Future[int]:
        future = super()._submit(record)
        if record.endswith(b"13"):
            future = Future()
            future.set_exception(EngineAwayError("away"))
        return future


class Forgetful(MemoryOrderedLog):
    """Loses a record that it has acknowledged."""

    def _submit(self, record: bytes) -> Future[int]:
        future = super()._submit(record)
        if record.endswith(b"13"):
            self.engine._entries.pop()
        return future


class Sleepy(MemoryOrderedLog):
    """Returns before the timeout."""

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        return super()._read(after, bytes_max, min(timeout, 0.01))


class Amnesiac(MemoryOrderedLog):
    """Reads on where something was trimmed."""

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        return super()._read(max(after, self.first() - 1), bytes_max, timeout)


Case = Callable[[OrderedLogConformance, Callable[[], MemoryOrderedLog]], None]

MISTAKES: dict[type[MemoryOrderedLog], Case] = {
    Skipping: lambda kit, open_log: kit.test_a_reader_that_starts_late_sees_all(open_log),
    Reversing: lambda kit, open_log: kit.test_records_in_flight_land_in_the_order_in_which_they_were_submitted(
        open_log()
    ),
    Lying: lambda kit, open_log: kit.test_whatever_breaks_an_outcome_is_true(open_log, lambda: None),
    Forgetful: lambda kit, open_log: kit.test_whatever_breaks_an_outcome_is_true(open_log, lambda: None),
    Sleepy: lambda kit, open_log: kit.test_when_nothing_comes_an_empty_page_is_returned_at_the_timeout(open_log()),
}


@pytest.mark.parametrize("wrong", MISTAKES, ids=lambda each: each.__name__)
def test_a_mistake_is_found(kit: OrderedLogConformance, wrong: type[MemoryOrderedLog]) -> None:
    MISTAKES[wrong](kit, MemoryEngine().open)
    engine = MemoryEngine()
    with pytest.raises(AssertionError):
        MISTAKES[wrong](kit, lambda: wrong(engine))


def test_a_log_that_reads_on_where_it_was_trimmed_is_found(kit: OrderedLogConformance) -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        kit.test_what_was_trimmed_is_refused_and_all_behind_it_stays(Amnesiac())
