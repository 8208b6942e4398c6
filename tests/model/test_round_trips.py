"""What cannot come back from a snapshot as it was is refused when the class is made, or is not stored."""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from act_fast import Act, DefinitionError, Event, Failure, LogStore, State, action, reducer


class Color(StrEnum):
    RED = "red"


class Shade(Enum):
    DARK = 1


class Shape(msgspec.Struct):
    size: int = 0


class Circle(Shape):
    pass


@dataclasses.dataclass
class Point:
    x: int = 0


class Noted(Event):
    number: int = 0


def keeping(kind: Any, make: Callable[[], Any]) -> type[Any]:
    """A state whose reducer puts something into a field of a type."""

    def noted(self: Any, event: Noted) -> None:
        self.kept = make()
        self.notes += 1

    def note(self: Any) -> Noted:
        return Noted()

    begun: dict[Any, Any] = {dict: {}, list: [], str: "", int: 0, Shape: msgspec.field(default_factory=Shape)}
    origin = getattr(kind, "__origin__", kind)
    namespace = {
        "__annotations__": {"kept": kind, "notes": int},
        "kept": begun.get(origin),
        "notes": 0,
        "noted": reducer(noted),
        "note": action(note),
    }
    return type(State)("Keeps", (State,), namespace, snapshot_every=1)


CHANGED: list[tuple[Any, Callable[[], Any]]] = [
    (Any, lambda: {7: 3}),
    (dict, lambda: {7: 3, "7": 2}),
    (dict, lambda: {1.5: 1}),
    (dict[str, Any], lambda: {"a": (1, 2)}),
    (list, lambda: [(1, 2)]),
    (list, lambda: [{1}]),
    (Any, lambda: (1, 2)),
    (Any, lambda: {1, 2}),
    (Any, lambda: datetime(2026, 1, 1, tzinfo=UTC)),
    (Any, lambda: timedelta(1)),
    (Any, lambda: Decimal("1.5")),
    (Any, lambda: b"bytes"),
    (Any, lambda: Color.RED),
    (Any, lambda: Shade.DARK),
    (Any, lambda: Shape()),
    (Any, lambda: Point()),
    (Any, lambda: float("nan")),
    (Any, lambda: float("inf")),
    (Any, lambda: defaultdict(int)),
    (str, lambda: Color.RED),
    (int, lambda: True),
    (list[int], lambda: (1, 2)),
    (list[int], lambda: [True]),
    (list[float], lambda: [2**60 + 1]),
    (dict[str, int], lambda: defaultdict(int)),
    (Shape, lambda: Circle(1)),
    (list[Shape], lambda: [Circle(1)]),
    (datetime | None, lambda: datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))),
]


@pytest.mark.parametrize(("kind", "make"), CHANGED)
def test_what_comes_back_as_something_else_is_not_stored(
    kind: Any, make: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    state = keeping(kind, make)
    with LogStore.memory() as store:
        app = Act(store, state)
        failures: list[Failure] = []
        app.observe("error", failures.append)
        with caplog.at_level(logging.WARNING, "act_fast"):
            for _ in range(3):
                assert app.do(state.note, "k").state.kept is not None
        assert store.latest_snapshot("k") is None
        assert len(failures) == 3, "whoever observes errors is told each time"
        assert sum("cannot be stored" in each.message for each in caplog.records) == 1, "the log says so once"
        with pytest.raises(DefinitionError, match=r"a state of Keeps cannot be stored.*"):
            app.snapshot(state, "k")
        assert repr(app.load(state, "k").state.kept) == repr(make())
        assert app.load(state, "k").state.notes == 3
        with pytest.raises(DefinitionError, match=r"after Keeps\.note, "):
            Act("memory:", state, debug=True).do(state.note, "k")


SAME: list[tuple[Any, Callable[[], Any]]] = [
    (Any, lambda: {"a": [1, 2.5, True, None, {"b": "c"}]}),
    (dict, lambda: {"7": [{}]}),
    (dict[int, int], lambda: {7: 3}),
    (list[float], lambda: [1, 2.5]),
    (list[Shape], lambda: [Shape(1), Shape(2)]),
    (datetime | None, lambda: datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
    (dict[str, Decimal], lambda: {"a": Decimal("1.50")}),
    (dict[Color, Shade], lambda: {Color.RED: Shade.DARK}),
    (tuple[int, str] | None, lambda: (1, "a")),
    (frozenset[int] | None, lambda: frozenset({1, 2})),
    (Point | None, lambda: Point(3)),
]


@pytest.mark.parametrize(("kind", "make"), SAME)
def test_what_comes_back_as_it_was_is_stored(kind: Any, make: Callable[[], Any]) -> None:
    state = keeping(kind, make)
    with LogStore.memory() as store:
        Act(store, state, debug=True).do(state.note, "k")
        found = Act(store, state).load(state, "k")
        assert (found.replayed, found.state.kept) == (0, make())


def test_what_is_folded_on_from_a_snapshot_is_what_was_folded_without_one() -> None:
    class Sold(Event):
        number: int

    class Shop(State, snapshot_every=1):
        counts: dict = {}  # type: ignore[type-arg]

        @reducer
        def sold(self, event: Sold) -> None:
            self.counts[event.number] = self.counts.get(event.number, 0) + 1

        @action
        def sell(self, number: int) -> Sold:
            return Sold(number)

    with LogStore.memory() as store:
        for _ in range(3):
            Act(store, Shop).do(Shop.sell, "s", number=7)
        assert Act(store, Shop).load(Shop, "s").state.counts == {7: 3}


@pytest.mark.parametrize(
    ("kind", "default", "message"),
    [
        (dict[int | str, int], {}, "keys that are text or numbers"),
        (Any, (), "comes back as list"),
        (Any, Color.RED, "comes back as str"),
        (Any, b"", "comes back as str"),
    ],
)
@pytest.mark.parametrize("base", [State, Event])
def test_what_types_and_defaults_tell_is_refused_when_the_class_is_made(
    kind: Any, default: Any, message: str, base: Any
) -> None:
    with pytest.raises(DefinitionError, match=rf"Odd\.kept.* {message}"):
        type(base)("Odd", (base,), {"__annotations__": {"kept": kind}, "kept": default})


@pytest.mark.parametrize("base", [State, Event])
def test_attributes_that_are_no_fields_are_refused_since_nothing_keeps_them(base: Any) -> None:
    with pytest.raises(DefinitionError, match="dict=True"):
        type(base)("Odd", (base,), {}, dict=True)
