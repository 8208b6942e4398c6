"""A default that is made must be made the same each time: old events would mean something else at each reading."""

import functools
import itertools
import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from act_fast import Act, DefinitionError, Event, State, reducer, upcast

_counter = itertools.count()
_shared: list[str] = []


class Kind(Enum):
    SMALL = "small"


class Line(msgspec.Struct):
    text: str = ""
    tags: list[str] = []


class Numbered(msgspec.Struct):
    id: UUID = msgspec.field(default_factory=uuid4)


@dataclass
class Stamped:
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def now() -> datetime:
    return datetime.now(UTC)


def indirectly() -> datetime:
    return now()


def closed_over() -> Callable[[], int]:
    counted = itertools.count()
    return lambda: next(counted)


REFUSED: list[tuple[Any, Callable[[], Any]]] = [
    (UUID, uuid4),
    (UUID, uuid.uuid1),
    (UUID, lambda: uuid.uuid4()),
    (str, lambda: str(uuid4())),
    (datetime, now),
    (datetime, indirectly),
    (datetime, lambda: datetime.now(UTC)),
    (datetime, functools.partial(datetime.now, UTC)),
    (date, date.today),
    (float, time.time),
    (int, time.monotonic_ns),
    (float, random.random),
    (float, lambda: random.random()),
    (int, lambda: next(_counter)),
    (int, closed_over()),
    (int, _counter.__next__),
    (str, os.getcwd),
    (str, lambda: os.environ["HOME"]),
    (int, lambda: id(object())),
    (str, lambda: input()),
    (Numbered, Numbered),
    (Stamped, Stamped),
    (list[Numbered], lambda: [Numbered()]),
]


@pytest.mark.parametrize(("kind", "factory"), REFUSED)
@pytest.mark.parametrize("base", [Event, State])
def test_a_factory_that_asks_for_time_chance_or_the_world_is_refused(
    kind: Any, factory: Callable[[], Any], base: Any
) -> None:
    def made() -> None:
        odd = type(base)("Odd", (base,), {"__annotations__": {"x": kind}, "x": msgspec.field(default_factory=factory)})
        if base is State:
            Act("memory:", odd)

    with pytest.raises(DefinitionError, match=r"default_factory that asks .*; let the action fill it in"):
        made()


ACCEPTED: list[tuple[Any, Callable[[], Any]]] = [
    (list[int], list),
    (dict[str, int], dict),
    (set[int], set),
    (list[str], lambda: ["EUR"]),
    (dict[str, list[int]], lambda: {"a": [1]}),
    (Line, Line),
    (Line, lambda: Line("a", ["b"])),
    (list[Line], lambda: [Line(each) for each in ("a", "b")]),
    (Kind, lambda: Kind.SMALL),
    (Decimal, lambda: Decimal("1.5")),
    (datetime, lambda: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=1)),
    (Line, functools.partial(Line, "a")),
    (list[int], lambda: sorted([2, 1])),
    (list[int], lambda: list(range(3))),
]


@pytest.mark.parametrize(("kind", "factory"), ACCEPTED)
@pytest.mark.parametrize("base", [Event, State])
def test_a_factory_that_makes_a_constant_is_fine(kind: Any, factory: Callable[[], Any], base: Any) -> None:
    made = type(base)("Fine", (base,), {"__annotations__": {"x": kind}, "x": msgspec.field(default_factory=factory)})
    if base is State:
        Act("memory:", made).close()
    assert made().x == factory()


def test_a_factory_that_gives_the_same_object_each_time_is_refused() -> None:
    for factory in (lambda: _shared, lambda: {"a": _shared}):
        with pytest.raises(DefinitionError, match="returns the same object each time"):
            type(Event)("Odd", (Event,), {"__annotations__": {"x": Any}, "x": msgspec.field(default_factory=factory)})


def test_a_struct_within_an_event_is_looked_into() -> None:
    for kind in (Numbered, list[Numbered], dict[str, Numbered] | None, tuple[Numbered, ...]):
        with pytest.raises(DefinitionError, match=r"Numbered\.id has a default_factory that asks"):
            type(Event)("Odd", (Event,), {"__annotations__": {"x": kind}})


def test_the_time_of_now_as_a_plain_default_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Odd\.x has the current time as its default"):
        type(Event)("Odd", (Event,), {"__annotations__": {"x": datetime}, "x": datetime.now(UTC)})

    class Fine(Event):
        x: datetime = datetime(2020, 1, 1, 12, 30, 0, 5, tzinfo=UTC)

    assert Fine().x.year == 2020


def test_a_field_of_a_class_that_is_defined_later_is_looked_at_when_the_app_is_made() -> None:
    with pytest.raises(DefinitionError, match=r"Later\.id has a default_factory that asks"):
        Act("memory:", Holding)


class Holds(Event):
    later: "Later"


class Holding(State):
    @reducer
    def held(self, event: Holds) -> None: ...


class Later(msgspec.Struct):
    id: UUID = msgspec.field(default_factory=uuid4)


def stamped(old: dict[str, Any]) -> dict[str, Any]:
    return old | {"at": now().isoformat()}


def numbered(old: dict[str, Any]) -> dict[str, Any]:
    return old | {"id": str(uuid4())}


def drawn(old: dict[str, Any]) -> dict[str, Any]:
    return old | {"id": [random.randint(1, 6) for _ in range(1)]}


def timed(old: dict[str, Any]) -> dict[str, Any]:
    return old | {"id": time.time()}


async def awaited(old: dict[str, Any]) -> dict[str, Any]:
    return old


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (stamped, r"asks datetime\.now"),
        (numbered, r"asks uuid\.uuid4"),
        (drawn, r"asks random\.randint"),
        (timed, r"asks time\.time"),
        (awaited, "is `async def`"),
    ],
)
def test_an_upcaster_that_gives_another_event_at_each_reading_is_refused(function: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        type(Event)("Odd", (Event,), {"upcasts": upcast(from_="Older")(staticmethod(function))})


def test_what_runs_at_each_reading_of_an_event_or_a_state_asks_for_neither_time_nor_chance() -> None:
    class Noted(Event):
        text: str = ""

    def noted(self: Any, event: Noted) -> None:
        self.at = now()

    with pytest.raises(DefinitionError, match=r"asks datetime\.now, so the state would differ at each fold"):
        type(State)("Notes", (State,), {"noted": reducer(noted)})

    def completed(self: Any) -> None:
        msgspec.structs.force_setattr(self, "text", str(uuid4()))

    with pytest.raises(DefinitionError, match=r"Odd\.__post_init__ asks uuid\.uuid4"):
        type(Event)("Odd", (Event,), {"__annotations__": {"text": str}, "text": "", "__post_init__": completed})


def test_a_reducer_may_read_a_field_that_is_called_like_a_clock() -> None:
    class Clocked(Event):
        time: float = 0.0
        now: str = ""
        stat: str = ""

    class Clocks(State):
        year: int = 0
        base: str = ""

        @reducer
        def clocked(self, event: Clocked) -> None:
            self.year = time.gmtime(event.time).tm_year
            self.base = os.path.basename(event.stat) + str(datetime(2020, 1, 1)) + event.now

    with Act("memory:", Clocks) as app:
        assert app.load(Clocks, "a").state.year == 0


def test_a_reducer_that_imports_what_it_asks_or_has_it_from_around_is_seen_through() -> None:
    def imported(self: Any, event: Holds) -> None:
        from time import time as moment

        self.at = moment()

    def imported_whole(self: Any, event: Holds) -> None:
        import uuid as ids

        self.at = ids.uuid4()

    clock = time.time

    def around(self: Any, event: Holds) -> None:
        self.at = clock()

    def environment(self: Any, event: Holds) -> None:
        self.at = os.environ["HOME"]

    for fold, asked in (
        (imported, r"time\.time"),
        (imported_whole, r"uuid\.uuid4"),
        (around, r"time\.time"),
        (environment, r"os\.environ"),
    ):
        with pytest.raises(DefinitionError, match=f"asks {asked}, so the state would differ"):
            type(State)("Odd", (State,), {"fold": reducer(fold)})
