"""Any history of appends and decisions, some of which are overtaken while they decide, against a list kept by hand."""

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from act_fast import (
    Act,
    Append,
    ConditionError,
    ConflictError,
    Event,
    LogStore,
    State,
    Tag,
    View,
    at,
    decision,
    reducer,
)

EXAMPLES = int(os.environ.get("ACT_FAST_EXAMPLES", "40"))


class Added(Event):
    shelf: Tag[str]
    item: Tag[str]
    count: int


class Emptied(Event):
    shelf: Tag[str]


class Counted(Event):
    item: Tag[str]


class Shelf(View, name="shelf"):
    total: int = 0
    events: int = 0

    @reducer
    def added(self, event: Added) -> None:
        self.total += event.count
        self.events += 1

    @reducer
    def emptied(self, event: Emptied) -> None:
        self.total = 0
        self.events += 1


class Item(View, name="item"):
    total: int = 0
    counted: int = 0

    @reducer
    def added(self, event: Added) -> None:
        self.total += event.count

    @reducer
    def count(self, event: Counted) -> None:
        self.counted += 1


class Book(State, events=[Added, Emptied, Counted]):
    total: int = 0


SHELVES, ITEMS, STREAMS = st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from(["one", "two"])
EVENTS = st.one_of(
    st.builds(Added, SHELVES, ITEMS, st.integers(-3, 9)), st.builds(Emptied, SHELVES), st.builds(Counted, ITEMS)
)
APPENDS = st.tuples(STREAMS, EVENTS)
MOST = 12

Kept = tuple[str, Event]


def shelf_of(kept: list[Kept], shelf: str) -> Shelf:
    view = Shelf()
    for _, event in kept:
        if isinstance(event, Added) and event.shelf == shelf:
            view = Shelf(view.total + event.count, view.events + 1)
        elif isinstance(event, Emptied) and event.shelf == shelf:
            view = Shelf(0, view.events + 1)
    return view


def item_of(kept: list[Kept], item: str) -> Item:
    added = [event.count for _, event in kept if isinstance(event, Added) and event.item == item]
    return Item(sum(added), sum(isinstance(event, Counted) and event.item == item for _, event in kept))


def disturbs(event: Event, shelf: str, item: str) -> bool:
    """Whether a decision on a shelf and an item would have folded an event."""
    on_shelf = isinstance(event, Added | Emptied) and event.shelf == shelf
    return on_shelf or (isinstance(event, Added | Counted) and event.item == item)


class FullError(Exception):
    pass


class History(RuleBasedStateMachine):
    """Apps that keep what they have folded, one for each that decides, and one that begins anew each time."""

    @initialize()
    def begin(self) -> None:
        self.store = LogStore.memory()
        self.apps = [Act(self.store, Book, unknown="skip") for _ in range(2)]
        self.kept: list[Kept] = []

    def append(self, stream: str, event: Event) -> None:
        self.store.append(stream, [event])
        self.kept.append((stream, event))

    @rule(given=APPENDS)
    def somebody_appends(self, given: Kept) -> None:
        self.append(*given)

    @rule(
        which=st.integers(0, 1),
        shelf=SHELVES,
        item=ITEMS,
        stream=STREAMS,
        count=st.integers(0, 9),
        between=st.lists(st.lists(APPENDS, max_size=2), max_size=3),
        retries=st.integers(0, 2),
    )
    def decide(
        self,
        which: int,
        shelf: str,
        item: str,
        stream: str,
        count: int,
        between: list[list[Kept]],
        retries: int,
    ) -> None:
        """Add to a shelf that has room, while others append between the looking and the appending."""
        overtaking = list(between)

        @decision(retries=retries)
        def add(own: Shelf, of: Item) -> Append:
            assert own == shelf_of(self.kept, shelf)
            assert of == item_of(self.kept, item)
            if own.total + count > MOST:
                raise FullError
            for each in overtaking.pop(0) if overtaking else []:
                self.append(*each)
            return Append(stream, [Added(shelf, item, count)])

        self._check(self.apps[which], add, shelf, item, stream, count, between, retries)

    def _check(
        self,
        app: Act,
        add: Any,
        shelf: str,
        item: str,
        stream: str,
        count: int,
        between: list[list[Kept]],
        retries: int,
    ) -> None:
        kept, expected = list(self.kept), "conflict"
        for attempt in range(retries + 1):
            if shelf_of(kept, shelf).total + count > MOST:
                expected = "full"
                break
            meanwhile = between[attempt] if attempt < len(between) else []
            kept += meanwhile
            if not any(disturbs(event, shelf, item) for _, event in meanwhile):
                expected = "done"
                break
        try:
            decided = app.decide(add, Shelf.of(shelf), Item.of(item))
        except FullError:
            outcome = "full"
        except ConditionError as conflict:
            outcome, found = "conflict", self.kept[conflict.position - 1][1]
            assert disturbs(found, shelf, item)
        else:
            outcome = "done"
            self.kept.append((stream, Added(shelf, item, count)))
            assert decided.position == len(self.kept)
        assert outcome == expected
        assert len(self.kept) == len(kept) + (expected == "done")

    @rule(which=st.integers(0, 1), stream=STREAMS, shelf=SHELVES, between=st.lists(APPENDS, max_size=2))
    def decide_on_a_stream_and_a_shelf(self, which: int, stream: str, shelf: str, between: list[Kept]) -> None:
        """The stream is guarded by its version, the shelf by its tag."""

        @decision(retries=0)
        def empty(book: Book, own: Shelf) -> Append:
            assert own == shelf_of(self.kept, shelf)
            for each in between:
                self.append(*each)
            return Append("elsewhere", [Emptied(shelf)])

        disturbed = any(
            to == stream or (isinstance(event, Added | Emptied) and event.shelf == shelf) for to, event in between
        )
        try:
            self.apps[which].decide(empty, at(Book, stream), Shelf.of(shelf))
        except ConflictError:
            assert disturbed
        else:
            assert not disturbed
            self.kept.append(("elsewhere", Emptied(shelf)))

    @rule(which=st.integers(0, 1), shelf=SHELVES, back=st.integers(0, 5))
    def look_at_a_moment(self, which: int, shelf: str, back: int) -> None:
        app, position = self.apps[which], max(len(self.kept) - back, 0)
        then = self.kept[:position]
        assert app.load(Shelf.of(shelf), position=position).state == shelf_of(then, shelf)
        now = app.load(Shelf.of(shelf))
        version = max(now.version - back, 0)
        assert app.load(Shelf.of(shelf), at=version).state.events == version

    @invariant()
    def all_see_the_same(self) -> None:
        if not hasattr(self, "store"):
            return
        assert [(event.stream, event.name) for event in self.store.query()] == [
            (stream, event.__stored_name__) for stream, event in self.kept
        ]
        for app in (*self.apps, Act(self.store)):
            assert [app.load(Shelf.of(each)).state for each in "ab"] == [shelf_of(self.kept, each) for each in "ab"]
            assert [app.load(Item.of(each)).state for each in "xy"] == [item_of(self.kept, each) for each in "xy"]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


def test_any_history_of_appends_and_decisions() -> None:
    run_state_machine_as_test(History, settings=settings(max_examples=EXAMPLES, stateful_step_count=12, deadline=None))
