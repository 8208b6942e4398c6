"""The rules of `OrderedLog`, as tests that any adapter can run.

    from act_fast.testing.conformance.ordered_log import OpenLog, OrderedLogConformance

    class TestMyLog(OrderedLogConformance):
        @pytest.fixture
        def open_log(self, tmp_path):
            with ExitStack() as opened:
                yield lambda: opened.enter_context(MyLog(tmp_path / "log"))

`open_log` opens the same empty log each time, as another program would; each test has one of its own. What a log does
not have is named in `lacks`, and the cases that need it are skipped with that reason.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import ClassVar, TypeAlias

import pytest

from act_fast.errors import (
    EngineError,
    OutcomeUnknownError,
    RecordTooLargeError,
    StoreClosedError,
    StoreError,
    TrimmedError,
    ValidationError,
)
from act_fast.stores.ordered.port import Entry, OrderedLog

__all__ = ["Disturb", "OpenLog", "OrderedLogConformance", "read_all", "records", "with_patience"]

OpenLog: TypeAlias = Callable[[], OrderedLog]
"""Opens the log of a test; called again, it opens the same one once more."""

Disturb: TypeAlias = Callable[[], None]
"""Breaks every connection to the engine, which may be made again at once or a little later."""

_PATIENCE_SECONDS = 60.0
_BIG_BYTES = 10_000


def records(count: int, by: str = "r", size: int = 0) -> list[bytes]:
    """Records that are all different, and carry a number."""
    return [f"{by}-{number:06d}".encode().ljust(size, b".") for number in range(count)]


def read_all(log: OrderedLog, after: int = 0, until: int | None = None, bytes_max: int = 1024 * 1024) -> list[Entry]:
    """What is behind a place, page by page, up to the head or to `until`."""
    end = time.monotonic() + _PATIENCE_SECONDS
    until = log.head() if until is None else until
    found: list[Entry] = []
    while after < until:
        assert time.monotonic() < end, f"nothing is shown behind {after}, while the head is {until}"
        page = log.read(after, bytes_max=bytes_max, timeout=1.0)
        found += page
        after = page[-1].place if page else after
    return found


def with_patience(ask: Callable[[], int]) -> int:
    """What a log answers once it answers again; what is appended so may land more than once."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except (EngineError, OutcomeUnknownError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _bytes_of(entries: list[Entry]) -> list[bytes]:
    return [entry.record for entry in entries]


def _growing(entries: list[Entry]) -> bool:
    return all(one.place < other.place for one, other in pairwise(entries))


class OrderedLogConformance:
    """What any ordered log promises.

    Attributes:
        lacks: what the log does not have, in the words of `NEEDS`.
        in_flight: how many records are submitted at once.
    """

    NEEDS: ClassVar[dict[str, str]] = {
        "handles": "the same log can be opened several times at once",
        "lasting": "what was appended is there when all have closed the log and it is opened again",
        "trim": "records can be dropped from the beginning",
        "disturbances": "connections to the engine can be broken: a fixture `disturb`",
        "forks": "a process that has the log open can be forked",
    }
    """What some cases need of a log, and what is meant by it."""

    lacks: ClassVar[frozenset[str]] = frozenset()
    in_flight: ClassVar[int] = 256

    @pytest.fixture
    def open_log(self) -> OpenLog:
        """To be overridden: opens an empty log, closed when the test is over."""
        raise NotImplementedError(f"{type(self).__name__} must have a fixture `open_log`")

    @pytest.fixture
    def disturb(self) -> Disturb:
        """To be overridden where connections can be broken."""
        self.needs("disturbances")
        raise NotImplementedError(f"{type(self).__name__} must have a fixture `disturb`")

    @pytest.fixture
    def log(self, open_log: OpenLog) -> OrderedLog:
        """The log, opened once."""
        return open_log()

    def needs(self, what: str) -> None:
        """Skip a case when the log lacks what it needs."""
        if what in self.lacks:
            pytest.skip(f"{type(self).__name__} lacks {what!r}: {self.NEEDS[what]}")

    # What is appended

    def test_an_empty_log_has_nothing(self, log: OrderedLog) -> None:
        assert (log.head(), log.first(), log.read()) == (0, 1, [])

    def test_records_are_read_in_the_order_in_which_they_were_appended(self, log: OrderedLog) -> None:
        given = records(20)
        places = [log.append(record) for record in given]
        assert places[0] >= 1
        assert log.head() == places[-1]
        assert read_all(log) == [Entry(*pair) for pair in zip(places, given, strict=True)]
        assert _growing(read_all(log))

    def test_bytes_come_back_as_they_were_given(self, log: OrderedLog) -> None:
        given = [b"\0", b"\xff", b"\0" * 100, bytes(range(256)) * 3, b"\r\n", b"PUB x 1\r\n", b'{"json": 1}', b" "]
        for record in given:
            log.append(record)
        assert _bytes_of(read_all(log)) == given

    def test_the_same_bytes_again_are_another_record(self, log: OrderedLog) -> None:
        for _ in range(3):
            log.append(b"same")
        assert _bytes_of(read_all(log)) == [b"same"] * 3

    def test_a_record_may_be_as_large_as_is_said(self, log: OrderedLog) -> None:
        given = [os.urandom(log.max_record), b"small", os.urandom(log.max_record)]
        for record in given:
            log.append(record)
        assert _bytes_of(read_all(log)) == given

    def test_what_is_no_record_is_refused_and_nothing_is_appended(self, log: OrderedLog) -> None:
        with pytest.raises(RecordTooLargeError):
            log.submit(bytes(log.max_record + 1))
        for wrong in (b"", "text", None, bytearray(b"a")):
            with pytest.raises(ValidationError):
                log.submit(wrong)  # type: ignore[arg-type]
        assert log.head() == 0

    # Many in flight

    def test_records_in_flight_land_in_the_order_in_which_they_were_submitted(self, log: OrderedLog) -> None:
        given = records(2 * self.in_flight, size=_BIG_BYTES)
        futures = [log.submit(record) for record in given]
        places = [future.result(_PATIENCE_SECONDS) for future in futures]
        assert places == sorted(set(places))
        assert read_all(log) == [Entry(*pair) for pair in zip(places, given, strict=True)]

    def test_what_several_threads_and_handles_submit_is_there_once_and_each_ones_order_is_kept(
        self, open_log: OpenLog
    ) -> None:
        logs = [open_log()] if "handles" in self.lacks else [open_log() for _ in range(2)]

        def write(number: int) -> list[Entry]:
            log, given = logs[number % len(logs)], records(40, f"t{number}")
            futures = [log.submit(record) for record in given]
            return [Entry(future.result(_PATIENCE_SECONDS), each) for future, each in zip(futures, given, strict=True)]

        with ThreadPoolExecutor(4) as pool:
            written = list(pool.map(write, range(4)))
        assert all(_growing(each) for each in written)
        for log in logs:
            assert read_all(log) == sorted(entry for each in written for entry in each)

    def test_the_head_is_what_was_acknowledged_to_anybody(self, open_log: OpenLog) -> None:
        self.needs("handles")
        one, other = open_log(), open_log()
        for turn in range(10):
            place = (one, other)[turn % 2].append(b"x")
            assert (other, one)[turn % 2].head() == place

    # Reading

    def test_reading_begins_behind_any_place(self, log: OrderedLog) -> None:
        for record in records(12):
            log.append(record)
        entries = read_all(log)
        for number, entry in enumerate(entries):
            assert read_all(log, after=entry.place) == entries[number + 1 :]
        for number in reversed(range(12)):
            assert read_all(log, after=entries[number].place) == entries[number + 1 :]

    def test_a_page_ends_when_it_has_the_bytes_that_were_asked_for(self, log: OrderedLog) -> None:
        given = records(6, size=1000)
        for record in given:
            log.append(record)
        assert _bytes_of(read_all(log, bytes_max=1)) == given
        for bytes_max, most in ((0, 1), (1, 1), (1000, 1), (1001, 2), (3000, 3)):
            after = 0
            found: list[Entry] = []
            while len(found) < 6:
                page = log.read(after, bytes_max=bytes_max, timeout=_PATIENCE_SECONDS)
                assert 1 <= len(page) <= most
                after, found = page[-1].place, found + page
            assert _bytes_of(found) == given

    def test_a_reader_that_starts_late_sees_all(self, open_log: OpenLog) -> None:
        self.needs("handles")
        writer = open_log()
        given = records(100)
        wait([writer.submit(record) for record in given])
        assert _bytes_of(read_all(open_log())) == given

    def test_readers_at_several_places_of_one_handle_do_not_disturb_each_other(self, log: OrderedLog) -> None:
        wait([log.submit(record) for record in records(60)])
        entries = read_all(log)

        def follow(start: int) -> list[Entry]:
            return read_all(log, after=entries[start].place, until=entries[-1].place, bytes_max=100)

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(follow, (0, 20, 40))) == [entries[1:], entries[21:], entries[41:]]

    def test_a_reader_that_follows_writers_skips_nothing(self, open_log: OpenLog) -> None:
        logs = [open_log()] * 3 if "handles" in self.lacks else [open_log() for _ in range(3)]
        begun = threading.Barrier(3)

        def write(number: int) -> None:
            begun.wait(_PATIENCE_SECONDS)
            for record in records(30, f"w{number}"):
                logs[number].append(record)

        def follow() -> list[Entry]:
            found: list[Entry] = []
            begun.wait(_PATIENCE_SECONDS)
            end = time.monotonic() + _PATIENCE_SECONDS
            while len(found) < 60 and time.monotonic() < end:
                found += logs[2].read(found[-1].place if found else 0, bytes_max=200, timeout=0.2)
            return found

        with ThreadPoolExecutor(3) as pool:
            following = pool.submit(follow)
            wait([pool.submit(write, number) for number in range(2)])
            found = following.result(_PATIENCE_SECONDS)
        assert found == read_all(logs[0])
        assert sorted(_bytes_of(found)) == sorted(records(30, "w0") + records(30, "w1"))

    # Waiting

    def test_when_nothing_comes_an_empty_page_is_returned_at_the_timeout(self, log: OrderedLog) -> None:
        place = log.append(b"one")
        assert read_all(log) == [Entry(place, b"one")]
        begun = time.monotonic()
        assert log.read(place, timeout=0.3) == []
        assert 0.3 <= time.monotonic() - begun < _PATIENCE_SECONDS
        assert log.read(place) == []

    def test_an_append_ends_the_wait(self, open_log: OpenLog) -> None:
        reader, writer = [open_log()] * 2 if "handles" in self.lacks else (open_log(), open_log())
        after = 0
        with ThreadPoolExecutor(1) as pool:
            for turn in range(5):
                waiting = pool.submit(reader.read, after, timeout=_PATIENCE_SECONDS)
                time.sleep(0.02 * turn)
                after = writer.append(b"news")
                assert waiting.result(_PATIENCE_SECONDS) == [Entry(after, b"news")]

    def test_ping_pong_between_two_handles_loses_no_wake_up(self, open_log: OpenLog) -> None:
        self.needs("handles")
        turns = 20

        def play(mine: int, log: OrderedLog) -> list[bytes]:
            found: list[Entry] = []
            while len(found) < turns:
                if len(found) % 2 == mine:
                    log.append(b"%d" % len(found))
                found += log.read(found[-1].place if found else 0, timeout=_PATIENCE_SECONDS)
            return _bytes_of(found)

        logs = [open_log(), open_log()]
        with ThreadPoolExecutor(2) as pool:
            games = [pool.submit(play, number, log) for number, log in enumerate(logs)]
            assert [game.result(_PATIENCE_SECONDS) for game in games] == [[b"%d" % each for each in range(turns)]] * 2

    # Trimming

    def test_what_was_trimmed_is_refused_and_all_behind_it_stays(self, log: OrderedLog) -> None:
        self.needs("trim")
        entries = [Entry(log.append(record), record) for record in records(10)]
        log.trim(entries[6].place)
        first = log.first()
        assert first <= entries[6].place
        assert read_all(log, after=first - 1)[-4:] == entries[6:]
        assert read_all(log, after=entries[5].place) == entries[6:]
        for after in (each for each in (0, 1, entries[3].place, first - 2) if 0 <= each < first - 1):
            with pytest.raises(TrimmedError) as caught:
                log.read(after)
            assert (caught.value.after, caught.value.first) == (after, first)
        log.trim(1)
        assert log.first() == first
        last = log.append(b"more")
        assert read_all(log, after=entries[9].place) == [Entry(last, b"more")]

    def test_a_log_that_was_trimmed_whole_goes_on_where_it_was(self, open_log: OpenLog) -> None:
        self.needs("trim")
        log = open_log()
        last = max([log.append(record) for record in records(5)])
        with pytest.raises(ValidationError):
            log.trim(last + 2)
        log.trim(last + 1)
        assert log.head() == last
        assert log.read(last) == []
        place = log.append(b"next")
        assert place > last
        for each in [log] if "handles" in self.lacks else [log, open_log()]:
            assert read_all(each, after=last) == [Entry(place, b"next")]
            assert each.head() == place

    def test_a_writer_that_knows_nothing_of_a_trim_appends_behind_it(self, open_log: OpenLog) -> None:
        self.needs("trim")
        self.needs("handles")
        stale, other = open_log(), open_log()
        stale.append(b"begin")
        last = max([other.append(record) for record in records(10)])
        other.trim(last)
        place = stale.append(b"late")
        assert place > last
        assert read_all(other, after=last) == [Entry(place, b"late")]

    # Opening and closing

    def test_what_was_appended_is_there_when_the_log_is_opened_again(self, open_log: OpenLog) -> None:
        self.needs("lasting")
        first = open_log()
        entries = [Entry(first.append(record), record) for record in records(5)]
        first.close()
        again = open_log()
        assert again.head() == entries[-1].place
        assert read_all(again) == entries
        assert again.append(b"more") > entries[-1].place

    def test_a_closed_log_refuses_everything(self, log: OrderedLog) -> None:
        log.append(b"one")
        assert not log.closed
        log.close()
        log.close()
        assert log.closed
        for use in (lambda: log.submit(b"a"), log.read, log.head, log.first, lambda: log.trim(1)):
            with pytest.raises(StoreClosedError):
                use()

    def test_closing_ends_reads_that_wait(self, log: OrderedLog) -> None:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(log.read, timeout=_PATIENCE_SECONDS)
            time.sleep(0.1)
            log.close()
            with pytest.raises(StoreClosedError):
                waiting.result(_PATIENCE_SECONDS)

    def test_closing_leaves_no_future_undone(self, open_log: OpenLog) -> None:
        log = open_log()
        futures = {record: log.submit(record) for record in records(100)}
        log.close()
        assert not wait(futures.values(), _PATIENCE_SECONDS).not_done
        if "lasting" not in self.lacks:
            _check_outcomes(futures, read_all(open_log()))

    def test_a_forked_child_is_refused(self, log: OrderedLog) -> None:
        self.needs("forks")
        log.append(b"one")
        child = os.fork()
        if child == 0:
            refused = 1
            try:
                log.read()
            except StoreClosedError:
                refused = 0
            finally:
                os._exit(refused)
        assert os.waitpid(child, 0)[1] == 0
        log.append(b"two")
        assert _bytes_of(read_all(log)) == [b"one", b"two"]

    # Bad days

    def test_whatever_breaks_an_outcome_is_true(self, open_log: OpenLog, disturb: Disturb) -> None:
        """A place means there; an `EngineError` means not there; only `OutcomeUnknownError` leaves it open."""
        log = open_log()
        futures: dict[bytes, Future[int]] = {}
        for turn in range(3):
            for record in records(100, f"b{turn}"):
                futures[record] = log.submit(record)
            wait([futures[b"b%d-000000" % turn]], _PATIENCE_SECONDS)
            disturb()
            assert not wait(futures.values(), _PATIENCE_SECONDS).not_done
            with_patience(lambda: log.append(b"after"))
        _check_outcomes(futures, read_all(log))

    def test_a_reader_goes_on_after_connections_broke(self, open_log: OpenLog, disturb: Disturb) -> None:
        log = open_log()
        found: list[Entry] = []

        def follow(until: int) -> int:
            found.extend(read_all(log, found[-1].place if found else 0, until))
            return until

        given, last = records(30), 0
        for number, record in enumerate(given):
            last = with_patience(lambda record=record: log.append(record))  # type: ignore[misc]
            if number % 10 == 9:
                with_patience(lambda last=last: follow(last))  # type: ignore[misc]
                disturb()
        with_patience(lambda: follow(last))
        assert list(dict.fromkeys(_bytes_of(found))) == given
        assert _growing(found)


def _check_outcomes(futures: dict[bytes, Future[int]], entries: list[Entry]) -> None:
    at = {entry.place: entry.record for entry in entries}
    there = set(at.values())
    for record, future in futures.items():
        error = future.exception()
        if error is None:
            assert at.get(future.result()) == record
        elif not isinstance(error, OutcomeUnknownError):
            assert isinstance(error, StoreError)
            assert record not in there
