"""Stored snapshots: loading replays only what came later."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from act_fast import (
    Act,
    DefinitionError,
    Event,
    Failure,
    LogStore,
    Snapshot,
    State,
    StreamClosedError,
    ValidationError,
    action,
    reducer,
    upcast,
)
from tests.support.bank import Account, Deposited


class Ticked(Event):
    by: int = 1


class Clock(State, snapshot_every=10):
    time: int = 0

    @reducer
    def ticked(self, event: Ticked) -> None:
        self.time += event.by

    @action
    def tick(self, times: int = 1) -> list[Ticked]:
        return [Ticked()] * times


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore.memory() as store:
        yield store


def versions(store: LogStore, stream: str) -> list[int]:
    """The versions at which snapshots of a stream are stored, latest first."""
    found, at_or_below = [], None
    while snapshot := store.latest_snapshot(stream, at_or_below=at_or_below):
        found.append(snapshot.version)
        at_or_below = snapshot.version - 1
    return found


def test_a_snapshot_is_stored_every_so_many_events(store: LogStore) -> None:
    app = Act(store, Clock)
    for _ in range(25):
        app.do(Clock.tick, "c")
    assert versions(store, "c") == [20, 10]
    assert store.head == 25


def test_a_commit_that_jumps_over_the_mark_stores_one_too(store: LogStore) -> None:
    app = Act(store, Clock)
    app.do(Clock.tick, "c", times=7)
    app.do(Clock.tick, "c", times=7)
    assert versions(store, "c") == [14]


def test_loading_starts_from_the_snapshot(store: LogStore) -> None:
    Act(store, Clock).do(Clock.tick, "c", times=10)
    Act(store, Clock).do(Clock.tick, "c", times=3)

    snapshot = Act(store, Clock).load(Clock, "c")
    assert (snapshot.state.time, snapshot.version, snapshot.position, snapshot.replayed) == (13, 13, 13, 3)


def test_loading_right_at_a_snapshot_replays_nothing(store: LogStore) -> None:
    Act(store, Clock).do(Clock.tick, "c", times=10)

    snapshot = Act(store, Clock).load(Clock, "c")
    assert (snapshot.state.time, snapshot.version, snapshot.position, snapshot.replayed) == (10, 10, 10, 0)


def test_time_travel_starts_from_an_earlier_snapshot(store: LogStore) -> None:
    app = Act(store, Clock)
    for _ in range(35):
        app.do(Clock.tick, "c")

    snapshot = Act(store, Clock).load(Clock, "c", at=24)
    assert (snapshot.state.time, snapshot.replayed) == (24, 4)
    assert Act(store, Clock).load(Clock, "c", before=10).replayed == 9


def test_a_predicate_says_when() -> None:
    class Bell(State, snapshot_when=lambda snapshot: snapshot.state.rung):
        rung: bool = False

        @action
        def ring(self, rung: bool) -> Rung:
            return Rung(rung)

    with LogStore.memory() as store:
        app = Act(store, Bell)
        for rung in (False, True, False, True):
            app.do(Bell.ring, "b", rung=rung)
        assert versions(store, "b") == [4, 2]


class Rung(Event):
    rung: bool


def test_a_snapshot_can_be_stored_by_hand(store: LogStore) -> None:
    app = Act(store, Clock)
    app.do(Clock.tick, "c", times=3)
    assert app.snapshot(Clock, "c").version == 3
    assert versions(store, "c") == [3]
    assert Act(store, Clock).load(Clock, "c").replayed == 0


def test_a_stream_without_events_has_nothing_to_store(app: Act) -> None:
    with pytest.raises(ValidationError, match="'nobody' has no events"):
        app.snapshot(Account, "nobody")


def test_a_closed_stream_needs_no_snapshot(store: LogStore) -> None:
    app = Act(store, Clock)
    app.do(Clock.tick, "c", times=9)
    app.close_stream(Clock, "c")
    assert versions(store, "c") == []
    with pytest.raises(StreamClosedError):
        app.snapshot(Clock, "c")


@pytest.mark.parametrize("data", [b"{}", b"not json", b'{"mark":"other","state":{"time":99}}'])
def test_a_snapshot_that_cannot_be_used_is_ignored_with_a_warning_and_replaced(
    store: LogStore, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    Act(store, Clock).do(Clock.tick, "c", times=5)
    store.save_snapshot("c", 5, data)

    with caplog.at_level(logging.WARNING, "act_fast"):
        assert Act(store, Clock).load(Clock, "c").state.time == 5
    assert "the snapshot of 'c' at version 5 is not used" in caplog.text
    caplog.clear()
    assert Act(store, Clock).load(Clock, "c").replayed == 0
    assert not caplog.records


def test_after_a_release_there_is_one_warning_for_all_snapshots_of_a_state(
    store: LogStore, caplog: pytest.LogCaptureFixture
) -> None:
    before = Act(store, Clock)
    for stream in ("c", "d", "e"):
        before.do(Clock.tick, stream, times=5)
        before.snapshot(Clock, stream)
    after = Act(store, Later.Counting)
    with caplog.at_level(logging.WARNING, "act_fast"):
        for stream in ("c", "d", "e"):
            assert after.load(Later.Counting, stream, at=4).state.ticks == 4
            assert after.load(Later.Counting, stream).state.ticks == 5
    assert len(caplog.records) == 1
    assert "for other snapshots of Clock" in caplog.text


class Plain(State, name="Clock"):
    """Has nothing to say."""

    time: int = 0

    @reducer
    def ticked(self, event: Ticked) -> None:
        self.time += event.by


class Later:
    """Clocks of later releases."""

    class Counting(State, name="Clock"):
        """Has one field more."""

        time: int = 0
        ticks: int = 0

        @reducer
        def ticked(self, event: Ticked) -> None:
            self.time += event.by
            self.ticks += 1

    class Doubling(State, name="Clock", snapshot_version=2):
        """Folds otherwise, and says so."""

        time: int = 0

        @reducer
        def ticked(self, event: Ticked) -> None:
            self.time += 2 * event.by

    class Documented(State, name="Clock"):
        """Differs in what it says about itself."""

        time: int = 0

        @reducer
        def ticked(self, event: Ticked) -> None:
            """Tell the time."""
            self.time += event.by


@pytest.mark.parametrize(("later", "time"), [(Later.Counting, 10), (Later.Doubling, 20)])
def test_a_snapshot_folded_by_other_definitions_is_not_used(store: LogStore, later: type[Any], time: int) -> None:
    Act(store, Clock).do(Clock.tick, "c", times=10)

    snapshot = Act(store, later).load(later, "c")
    assert (snapshot.replayed, snapshot.state.time) == (10, time)


def test_a_snapshot_is_used_by_the_same_definitions_wherever_they_live(store: LogStore) -> None:
    store.append("c", [Ticked()] * 3)
    Act(store, Plain).snapshot(Plain, "c")
    assert Act(store, Later.Documented).load(Later.Documented, "c").replayed == 0


def test_a_snapshot_that_cannot_be_stored_harms_nothing(store: LogStore) -> None:
    def refuse(snapshot: Snapshot[Any]) -> bool:
        raise ZeroDivisionError

    class Cursed(State, snapshot_when=refuse):
        total: int = 0

        @reducer
        def deposited(self, event: Deposited) -> None:
            self.total += event.amount

        @action
        def deposit(self, amount: int) -> Deposited:
            return Deposited(amount)

    app = Act(store, Cursed)
    failures: list[Failure] = []
    app.observe("error", failures.append)
    assert app.do(Cursed.deposit, "c", amount=5).version == 1
    assert [type(failure.error) for failure in failures] == [ZeroDivisionError]
    assert "'c'" in failures[0].doing


def test_a_warm_stream_does_not_get_slower_with_its_length(store: LogStore) -> None:
    app = Act(store, Clock)
    app.do(Clock.tick, "c", times=5000)
    assert app.do(Clock.tick, "c").replayed == 0


def test_a_state_that_cannot_be_stored_is_an_error_that_names_it_and_can_be_loaded_all_the_same() -> None:
    class Odd(State):
        anything: Any = None

        @reducer
        def deposited(self, event: Deposited) -> None:
            self.anything = object()

    with LogStore.memory() as store:
        store.append("o", [Deposited(1)])
        store.save_snapshot("o", 1, b"of another class")
        app = Act(store, Odd)
        assert app.load(Odd, "o").version == 1
        with pytest.raises(DefinitionError, match="a state of Odd cannot be stored"):
            app.snapshot(Odd, "o")


def test_an_upcaster_of_an_events_own_name_makes_older_snapshots_useless(store: LogStore) -> None:
    class Weighed(Event):
        grams: int

    class Before(State, events=[Weighed]):
        grams: int = 0

    class Weighed(Event):  # type: ignore[no-redef]
        grams: int

        @upcast(from_="Weighed")
        @staticmethod
        def from_kilograms(old: dict[str, Any]) -> dict[str, Any]:
            return {"grams": old["grams"] * 1000}

    class Parcel(State, events=[Weighed]):
        grams: int = 0

    store.append("p", [("Weighed", b'{"grams": 2}')])
    Act(store, Before).snapshot(Before, "p")
    assert Act(store, Parcel).load(Parcel, "p").state.grams == 2000
