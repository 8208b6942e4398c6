"""A snapshot is used by the very code that would fold the same state, and by no other."""

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import cache, singledispatch, wraps
from types import ModuleType
from typing import Any, ClassVar

import msgspec
import pytest

from act_fast import Act, Event, LogStore, State, action, reducer, upcast


class Ticked(Event):
    by: int = 1


class Clock(State, name="Clock", snapshot_every=5):
    time: int = 0

    @reducer
    def ticked(self, event: Ticked) -> None:
        self.time += event.by

    @action
    def tick(self) -> Ticked:
        return Ticked()


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore.memory() as store:
        yield store


def stored(store: LogStore, stream: str = "c") -> int:
    """How many snapshots of a stream there are, of all programs; two at one version count twice."""
    return store.verify().snapshots


def mark_of(state: type[Any]) -> str:
    """The mark that a program with this state class would put on its snapshots."""
    with LogStore.memory() as store:
        store.append("s", [Ticked()])
        Act(store, state).snapshot(state, "s")
        found = store.latest_snapshot("s")
        assert found is not None
        mark = msgspec.json.decode(found.data)["mark"]
        assert isinstance(mark, str)
        return mark


def clock(function: Callable[[Any, Any], Any], **members: Any) -> type[State]:
    """A clock whose reducer is this function."""
    namespace = {"__annotations__": {"time": int}, "time": 0, "ticked": reducer(function), **members}
    return type(State)("Clock", (State,), namespace)


def adding(self: Any, event: Ticked) -> None:
    self.time += event.by


def documented(self: Any, event: Ticked) -> None:
    """Add."""
    # A comment, and other names for the same.
    self.time += event.by


def other_names(me: Any, what: Ticked) -> None:
    me.time += what.by


def subtracting(self: Any, event: Ticked) -> None:
    self.time -= event.by


def doubling(self: Any, event: Ticked) -> None:
    self.time += 2 * event.by


def tripling(self: Any, event: Ticked) -> None:
    self.time += 3 * event.by


def by_default(factor: int) -> Callable[[Any, Any], None]:
    def adds(self: Any, event: Ticked) -> None:
        self.time += factor * event.by

    return adds


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(self: Any, event: Ticked) -> None:
        function(self, event)

    call.__annotations__ = {"event": Ticked, "return": None}
    return call


RATE = 1


def rated(self: Any, event: Ticked) -> None:
    self.time += RATE * event.by


def helped(self: Any, event: Ticked) -> None:
    self.time += _helper(event.by)


def _helper(by: int) -> int:
    return _inner(by)


def _inner(by: int) -> int:
    return by


def with_method(self: Any, event: Ticked) -> None:
    self._add(event.by)


def in_a_set(self: Any, event: Ticked) -> None:
    if event.by in {"a", "b", "c", "d", 1}:
        self.time += sum(each for each in (event.by,) if each in frozenset(("x", "y", "z", 1)))


@pytest.mark.parametrize("same", [documented, other_names])
def test_comments_docstrings_and_the_names_of_locals_change_nothing(same: Callable[..., Any]) -> None:
    same.__annotations__ = {list(same.__annotations__)[1]: Ticked, "return": None}
    assert mark_of(clock(same)) == mark_of(clock(adding))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (adding, subtracting),
        (doubling, tripling),
        (by_default(2), by_default(3)),
        (decorated(doubling), decorated(tripling)),
    ],
)
def test_a_reducer_that_folds_otherwise_has_another_mark(one: Any, other: Any) -> None:
    assert mark_of(clock(one)) != mark_of(clock(other))
    assert mark_of(clock(one)) == mark_of(clock(one))


@pytest.mark.parametrize(("name", "value", "function"), [("RATE", 2, rated), ("_inner", lambda by: 2 * by, helped)])
def test_what_a_reducer_names_counts_too(name: str, value: Any, function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mark_of(clock(function))
    monkeypatch.setitem(globals(), name, value)
    assert mark_of(clock(function)) != before


def module_of(factor: int) -> Any:
    module = ModuleType("prices")
    exec(f"FACTOR = {factor}\ndef of(by): return by * {factor}", module.__dict__)
    return module


def class_of(factor: int) -> Any:
    class Prices:
        FACTOR = factor

        def __init__(self, by: int) -> None:
            self.made = by * factor

        @staticmethod
        def of(by: int) -> int:
            return by * factor

    return Prices


def object_of(factor: int) -> Any:
    return class_of(factor)(1)


def struct_of(factor: int) -> Any:
    return msgspec.defstruct("Prices", [("FACTOR", int)], frozen=True)(factor)


def dataclass_of(factor: int) -> Any:
    return dataclasses.make_dataclass("Prices", [("FACTOR", int)], frozen=True)(factor)


def cached_of(factor: int) -> Any:
    return cache(lambda by: by * factor)


def dispatch_of(factor: int) -> Any:
    @singledispatch
    def of(by: Any) -> Any:
        return by

    of.register(int, lambda by: by * factor)
    return of


PRICES: Any = None


def through_an_attribute(self: Any, event: Ticked) -> None:
    self.time += PRICES.of(event.by)


def through_a_constant(self: Any, event: Ticked) -> None:
    self.time += PRICES.FACTOR * event.by


def through_a_call(self: Any, event: Ticked) -> None:
    self.time += PRICES(event.by)


def through_an_instance(self: Any, event: Ticked) -> None:
    self.time += PRICES(event.by).made


def by_itself(self: Any, event: Ticked) -> None:
    self.time += event.by if PRICES else 0


def through_a_helper(self: Any, event: Ticked) -> None:
    self.time += _with_prices(event.by)


def _with_prices(by: int) -> Any:
    return PRICES.of(by)


@pytest.mark.parametrize(
    ("function", "prices"),
    [
        (through_an_attribute, module_of),
        (through_an_attribute, class_of),
        (through_an_attribute, object_of),
        (through_a_constant, module_of),
        (through_a_constant, class_of),
        (through_a_constant, struct_of),
        (through_a_constant, dataclass_of),
        (through_an_instance, class_of),
        (through_a_call, cached_of),
        (through_a_call, dispatch_of),
        (through_a_helper, module_of),
        (through_a_helper, class_of),
        (by_itself, Decimal),
        (by_itself, timedelta),
        (by_itself, lambda factor: re.compile("a" * factor)),
    ],
)
def test_what_is_named_through_a_module_a_class_or_a_value_counts_too(
    function: Callable[[Any, Any], Any], prices: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = []
    for factor in (1, 2, 1):
        monkeypatch.setitem(globals(), "PRICES", prices(factor))
        marks.append(mark_of(clock(function)))
    assert marks[0] == marks[2] != marks[1]


def test_methods_and_constants_of_the_state_and_of_the_event_count_too() -> None:
    def once(self: Any, by: int) -> None:
        self.time += by

    def twice(self: Any, by: int) -> None:
        self.time += 2 * by

    assert mark_of(clock(with_method, _add=once)) != mark_of(clock(with_method, _add=twice))

    def limited(self: Any, event: Ticked) -> None:
        self.time = min(self.time + event.by, self.MOST)

    assert mark_of(clock(limited, MOST=5)) != mark_of(clock(limited, MOST=6))

    def state(factor: int) -> type[State]:
        class Ticked(Event):
            by: int = 1
            FACTOR: ClassVar[int] = factor

            @property
            def real(self) -> int:
                return self.by * self.FACTOR

        def uses(self: Any, event: Any) -> None:
            self.time += event.real

        uses.__annotations__ = {"event": Ticked, "return": None}
        return clock(uses)

    assert mark_of(state(1)) != mark_of(state(2))


def test_a_version_that_is_raised_by_hand_is_another_mark() -> None:
    def versioned(version: int) -> type[State]:
        members = {"__annotations__": {"time": int}, "time": 0, "ticked": reducer(adding)}
        return type(State)("Clock", (State,), members, snapshot_version=version)

    assert mark_of(versioned(1)) == mark_of(clock(adding))
    assert mark_of(versioned(1)) != mark_of(versioned(2))


def test_defaults_of_fields_count_too() -> None:
    def begun(time: int) -> type[State]:
        return type(State)("Clock", (State,), {"__annotations__": {"time": int}, "time": time, "t": reducer(adding)})

    def made(names: tuple[str, ...]) -> type[State]:
        factory = msgspec.field(default_factory=lambda: [*names])
        return type(State)("Clock", (State,), {"__annotations__": {"names": list[str]}, "names": factory})

    assert mark_of(begun(0)) != mark_of(begun(1))
    assert mark_of(made(("a",))) != mark_of(made(("b",)))

    def made_after(times: int) -> type[State]:
        @dataclasses.dataclass
        class Place:
            floor: int = 0

            def __post_init__(self) -> None:
                self.floor = self.floor or times

        factory = msgspec.field(default_factory=Place)
        return type(State)("Clock", (State,), {"__annotations__": {"place": Place}, "place": factory})

    assert mark_of(made_after(1)) != mark_of(made_after(2))

    def inner(times: int) -> type[State]:
        class Place(msgspec.Struct):
            floor: int = times

        class Ticked(Event):
            by: int = 1
            place: Place = msgspec.field(default_factory=Place)

        def takes(self: Any, event: Any) -> None:
            self.time += event.place.floor

        takes.__annotations__ = {"event": Ticked, "return": None}
        return clock(takes)

    assert mark_of(inner(1)) != mark_of(inner(2))


def chain(first: Callable[[Any], Any], second: Callable[[Any], Any], default: int = 0) -> type[State]:
    """A state whose events come through two upcasters, one behind the other."""

    class Weighed(Event, name="Weighed_v2"):
        grams: int
        spare: int = default

        upcasts = upcast(from_="Weighed")(staticmethod(first))

    def typed(old: Any) -> Any:
        return second(old)

    typed.__annotations__ = {"old": Weighed, "return": dict}

    class Ticked(Event, name="Weighed_v3"):
        milligrams: int

        upcasts = upcast(from_="Weighed_v2")(staticmethod(typed))

    class Parcel(State, events=[Ticked], name="Parcel"):
        milligrams: int = 0

    return Parcel


def kilos(old: dict[str, Any]) -> dict[str, Any]:
    return {"grams": old["kilos"] * 1000}


def kilos_wrongly(old: dict[str, Any]) -> dict[str, Any]:
    return {"grams": old["kilos"] * 100}


def grams(old: Any) -> dict[str, Any]:
    return {"milligrams": old.grams * 1000}


def grams_wrongly(old: Any) -> dict[str, Any]:
    return {"milligrams": old.grams * 100}


@pytest.mark.parametrize(
    ("before", "milligrams"),
    [
        (chain(kilos_wrongly, grams), 200_000),
        (chain(kilos, grams_wrongly), 200_000),
        (chain(kilos, grams, 7), 2_000_000),
    ],
)
def test_an_upcaster_that_was_fixed_leaves_no_snapshot_in_use_however_far_up_the_chain(
    store: LogStore, before: type[Any], milligrams: int
) -> None:
    after: type[Any] = chain(kilos, grams)
    store.append("p", [("Weighed", b'{"kilos":2}')])
    assert Act(store, before).snapshot(before, "p").state.milligrams == milligrams
    found = Act(store, after).load(after, "p")
    assert (found.state.milligrams, found.replayed) == (2_000_000, 1)
    again = Act(store, before).load(before, "p")
    assert (again.state.milligrams, again.replayed) == (milligrams, 0), "and the other release has its own"


def test_the_same_code_has_the_same_mark_in_every_process() -> None:
    script = (
        "from tests.model import test_snapshot_marks as t;"
        "print(*[t.mark_of(t.clock(each)) for each in (t.adding, t.in_a_set, t.helped, t.by_default(2))],"
        " t.mark_of(t.Clock))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": hashing, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hashing in ("1", "2", "3")
    }
    assert len(found) == 1


class Later(State, name="Clock", snapshot_every=5):
    """The clock of another release, which folds otherwise."""

    time: int = 0

    @reducer
    def ticked(self, event: Ticked) -> None:
        self.time += 10 * event.by

    @action
    def tick(self) -> Ticked:
        return Ticked()


def test_two_releases_side_by_side_have_their_own_snapshots_and_do_not_fight() -> None:
    with LogStore.memory() as store:
        for _ in range(40):
            Act(store, Clock).do(Clock.tick, "c")
            Act(store, Later).do(Later.tick, "c")
        assert Act(store, Clock).load(Clock, "c").state.time == 80
        assert Act(store, Later).load(Later, "c").state.time == 800
        before = stored(store)
        for _ in range(20):
            one, other = Act(store, Clock).load(Clock, "c"), Act(store, Later).load(Later, "c")
            assert (one.state.time, other.state.time) == (80, 800)
            assert (one.replayed, other.replayed) < (5, 5)
        assert stored(store) == before, "loads that find their own store nothing"
        assert before <= 2 * (80 // 5) + 2


def test_each_load_stores_one_snapshot_at_most_though_the_other_release_alone_appends() -> None:
    with LogStore.memory() as store:
        writer = Act(store, Clock)
        found, replayed = [], []
        for _ in range(30):
            for _ in range(3):
                writer.do(Clock.tick, "c")
            before = stored(store)
            snapshot = Act(store, Later).load(Later, "c")
            found.append(stored(store) - before)
            replayed.append(snapshot.replayed)
            assert snapshot.state.time == 10 * snapshot.version
        assert set(found) == {0, 1}
        assert sum(found) <= 90 // 5 + 1
        assert max(replayed[2:]) <= 5 + 3, "it does not begin from the first event each time"


def test_time_travel_uses_the_releases_own_snapshots(store: LogStore) -> None:
    for _ in range(10):
        Act(store, Clock).do(Clock.tick, "c")
        Act(store, Later).do(Later.tick, "c")
    at = Act(store, Later).load(Later, "c", at=12)
    assert at.state.time == 120
    assert at.replayed < 12


def test_a_store_of_another_make_never_gives_one_release_the_state_of_the_other() -> None:
    class Plain:
        def __init__(self, store: LogStore) -> None:
            self.append, self.load, self.version, self.query = store.append, store.load, store.version, store.query
            self.latest_snapshot, self.save_snapshot = store.latest_snapshot, store.save_snapshot

    with LogStore.memory() as store:
        plain: Any = Plain(store)
        for version in range(1, 13):
            assert Act(plain, Clock).do(Clock.tick, "c").state.time == version
            assert Act(plain, Later).load(Later, "c").state.time == 10 * version
        assert Act(plain, Later).load(Later, "c").replayed < 12
