"""Copies share nothing that can change."""

import gc
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from act_fast import Act, DefinitionError, Event, State, action, reducer
from act_fast._model.copier import copier_of

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    left: list[int]
    right: int


class Box(TypedDict):
    things: list[int]


class Point(msgspec.Struct, frozen=True):
    x: int = 0


class Label(msgspec.Struct, frozen=True):
    words: list[str] = []


class Node(msgspec.Struct):
    value: int = 0
    children: list["Node"] = []
    parent: "Node | None" = None


class Crate(msgspec.Struct, Generic[T]):
    held: list[T] = []


class Fixed(msgspec.Struct, Generic[T], frozen=True):
    held: T


class Cat(msgspec.Struct, tag=True):
    lives: list[int] = []


class Dog(msgspec.Struct, tag=True):
    tricks: dict[str, int] = {}


class Everything(msgspec.Struct):
    number: int = 0
    price: Decimal = Decimal(0)
    when: datetime | None = None
    colour: Colour = Colour.RED
    point: Point = Point()
    label: Label = msgspec.field(default_factory=Label)
    names: list[str] = []
    table: list[list[int]] = []
    ages: dict[str, int] = {}
    groups: dict[str, set[int]] = {}
    marks: set[str] = set()
    seen: frozenset[int] = frozenset()
    places: tuple[Point, ...] = ()
    mixed: tuple[int, list[int]] = (0, [])
    node: Node = msgspec.field(default_factory=Node)
    maybe: list[int] | None = None
    either: list[int] | dict[str, int] | None = None
    word_or_groups: str | dict[str, list[int]] = ""
    number_or_table: int | list[list[int]] = 0
    word_or_cat: str | Cat = ""
    pet: Cat | Dog | None = None
    crate: Crate[int] = msgspec.field(default_factory=Crate)
    fixed: Fixed[list[int]] = Fixed([])
    anything: Any = None
    pair: Pair = Pair([], 0)
    box: Box = msgspec.field(default_factory=lambda: Box(things=[]))
    raw: bytearray = msgspec.field(default_factory=bytearray)


IMMUTABLE = (int, str, float, bytes, bool, type(None), Decimal, datetime, Enum, frozenset, Point, type)


def changeable(value: Any, found: dict[int, Any] | None = None) -> dict[int, Any]:
    """Everything inside of a value that can change, by identity."""
    found = {} if found is None else found
    if not isinstance(value, IMMUTABLE) and id(value) not in found:
        if not isinstance(value, tuple):
            found[id(value)] = value
        for inner in gc.get_referents(value) if not isinstance(value, bytearray) else []:
            changeable(inner, found)
    return found


integers = st.integers(-9, 9)
words = st.text("ab", max_size=2)
numbers = st.lists(integers, max_size=3)
nodes: st.SearchStrategy[Node] = st.deferred(
    lambda: st.builds(Node, integers, st.lists(nodes, max_size=2), st.none() | nodes)
)
everything = st.builds(
    Everything,
    names=st.lists(words, max_size=3),
    label=st.builds(Label, st.lists(words, max_size=2)),
    table=st.lists(numbers, max_size=3),
    ages=st.dictionaries(words, integers, max_size=3),
    groups=st.dictionaries(words, st.sets(integers, max_size=2), max_size=2),
    marks=st.sets(words, max_size=3),
    mixed=st.tuples(integers, numbers),
    node=nodes,
    maybe=st.none() | numbers,
    either=st.none() | numbers | st.dictionaries(words, integers, max_size=2),
    word_or_groups=words | st.dictionaries(words, numbers, max_size=2),
    number_or_table=integers | st.lists(numbers, max_size=2),
    word_or_cat=words | st.builds(Cat, numbers),
    pet=st.none() | st.builds(Cat, numbers) | st.builds(Dog, st.dictionaries(words, integers, max_size=2)),
    crate=st.builds(Crate, numbers),
    fixed=st.builds(Fixed, numbers),
    anything=st.recursive(st.none() | integers, lambda inner: st.lists(inner, max_size=2), max_leaves=4),
    pair=st.builds(Pair, numbers, integers),
    box=numbers.map(lambda things: Box(things=things)),
)


@given(everything)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value: Everything) -> None:
    made = copier_of(Everything)(value)
    assert made == value
    assert not changeable(made).keys() & changeable(value).keys()


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (list[int], lambda: [1]),
        (list[list[int]], lambda: [[1]]),
        (dict[str, int], lambda: {"a": 1}),
        (dict[str, list[int]], lambda: {"a": [1]}),
        (set[int], lambda: {1}),
        (Node, Node),
        (Cat, lambda: Cat([1])),
        (list[int] | None, lambda: [1]),
        (list[int] | dict[str, int], lambda: [1]),
        (Any, lambda: [1]),
        (tuple[int, list[int]], lambda: (1, [1])),
        (bytearray, lambda: bytearray(b"a")),
    ],
)
def test_what_is_held_in_two_places_is_one_in_the_copy_too(kind: Any, make: Callable[[], Any]) -> None:
    class Holder(msgspec.Struct):
        one: kind
        other: kind
        apart: kind

    both = make()
    made = copier_of(Holder)(Holder(both, both, make()))
    assert made.one is made.other is not both
    assert made.apart is not made.one
    assert made.one == made.apart == both

    class Rows(msgspec.Struct):
        rows: list[kind]

    rows = copier_of(Rows)(Rows([both, both])).rows
    assert rows[0] is rows[1] is not both


class Shared(Event):
    pass


class Added(Event):
    number: int


class Lists(State):
    one: list[int] = []
    other: list[int] = []
    rows: dict[str, list[int]] = {}

    @reducer
    def shared(self, event: Shared) -> None:
        self.other = self.one
        self.rows["row"] = self.one

    @reducer
    def added(self, event: Added) -> None:
        self.one.append(event.number)

    @action
    def share(self) -> Shared:
        return Shared()

    @action
    def add(self, number: int) -> Added:
        return Added(number)


def test_the_events_give_the_same_state_folded_one_by_one_or_all_at_once() -> None:
    with Act("memory:", Lists) as app:
        app.do(Lists.share, "s")
        done = app.do(Lists.add, "s", 1).state
        assert done.other == done.rows["row"] == [1]
        app.store.append("s", [Added(2)])
        states = [
            app.load(Lists, "s").state,
            Act(app.store, Lists).load(Lists, "s").state,
            dict(app.replay(Lists))["s"].state,
            [*app.history(Lists, "s")][-1].state,
        ]
        assert states == [Lists([1, 2], [1, 2], {"row": [1, 2]})] * 4
        with pytest.raises(DefinitionError, match=r"Lists\.other holds the same list as Lists\.one"):
            app.snapshot(Lists, "s")
        assert app.store.latest_snapshot("s") is None


def test_what_cannot_change_is_shared() -> None:
    class Flat(msgspec.Struct):
        point: Point = Point()
        names: tuple[str, ...] = ()

    value = Flat(Point(5), ("a",))
    made = copier_of(Flat)(value)
    assert made is not value
    assert made.point is value.point
    assert copier_of(Flat) is msgspec.Struct.__copy__


@pytest.mark.parametrize("kind", [dict, list])
def test_a_subclass_of_a_collection_stays_one(kind: type) -> None:
    class Special(kind):  # type: ignore[misc,valid-type]
        pass

    class Holder(msgspec.Struct):
        held: kind = msgspec.field(default_factory=kind)  # type: ignore[valid-type]

    assert type(copier_of(Holder)(Holder(Special())).held) is Special
