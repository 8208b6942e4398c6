"""Any history of what people do, seen through apps that cache, that do not, and that come later: one truth."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from act_fast import Act, ConcurrencyError, Event, InvariantError, LogStore, State, action, reducer
from act_fast import invariant as rule_of_state


class Put(Event):
    item: str
    count: int


class Taken(Event):
    item: str
    count: int


class Shelf(State, snapshot_every=4):
    items: dict[str, int] = {}
    log: list[tuple[str, int]] = []
    total: int = 0

    @reducer
    def put_or_taken(self, event: Put | Taken) -> None:
        count = event.count if isinstance(event, Put) else -event.count
        self.items[event.item] = self.items.get(event.item, 0) + count
        self.log.append((event.item, count))
        self.total += count

    @rule_of_state("there is something on the shelf")
    def has_something(self) -> bool:
        return self.total > 0

    @action
    def put(self, item: str, counts: list[int]) -> list[Put]:
        return [Put(item, count) for count in counts]

    @action(requires=[has_something])
    def take(self, item: str) -> Taken | None:
        count = self.items.get(item, 0)
        return Taken(item, count) if count else None


class Model:
    """What a shelf holds, kept by hand: the items after each version."""

    def __init__(self) -> None:
        self.states: list[dict[str, int]] = [{}]

    def change(self, item: str, count: int) -> None:
        last = self.states[-1]
        self.states.append({**last, item: last.get(item, 0) + count})


streams = st.sampled_from(["a", "b"])
items = st.sampled_from(["x", "y"])
which = st.integers(0, 2)


class Shelves(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.store = LogStore.memory()
        self.apps = [
            Act(self.store, Shelf, debug=True),
            Act(self.store, Shelf, cache_max=0),
            Act(self.store, Shelf, cache_max=1),
        ]
        self.models = {"a": Model(), "b": Model()}

    @rule(app=which, stream=streams, item=items, counts=st.lists(st.integers(1, 3), max_size=5))
    def put(self, app: int, stream: str, item: str, counts: list[int]) -> None:
        snapshot = self.apps[app].do(Shelf.put, stream, item=item, counts=counts)
        for count in counts:
            self.models[stream].change(item, count)
        self.agrees(snapshot.state, stream, snapshot.version)
        assert snapshot.appended == len(counts)

    @rule(app=which, stream=streams, item=items)
    def take(self, app: int, stream: str, item: str) -> None:
        model = self.models[stream]
        held = model.states[-1]
        if not sum(held.values()):
            with pytest.raises(InvariantError) as raised:
                self.apps[app].do(Shelf.take, stream, item)
            assert raised.value.version == len(model.states) - 1
            return
        snapshot = self.apps[app].do(Shelf.take, stream, item)
        if held.get(item):
            model.change(item, -held[item])
        self.agrees(snapshot.state, stream, snapshot.version)

    @rule(app=which, stream=streams, off_by=st.integers(-2, 2))
    def put_pinned(self, app: int, stream: str, off_by: int) -> None:
        version = len(self.models[stream].states) - 1
        expected = max(0, version + off_by)
        pinned = self.apps[app].expecting(expected)
        if expected == version:
            pinned.do(Shelf.put, stream, "x", [1])
            self.models[stream].change("x", 1)
            return
        with pytest.raises(ConcurrencyError) as raised:
            pinned.do(Shelf.put, stream, "x", [1])
        assert (raised.value.expected, raised.value.actual) == (expected, version)

    @rule(app=which, stream=streams, back=st.integers(0, 20))
    def travel(self, app: int, stream: str, back: int) -> None:
        version = max(0, len(self.models[stream].states) - 1 - back)
        self.agrees(self.apps[app].load(Shelf, stream, at=version).state, stream, version)
        if version:
            earlier = self.apps[app].load(Shelf, stream, before=version)
            self.agrees(earlier.state, stream, version - 1)

    @rule(app=which, stream=streams, after=st.integers(0, 6))
    def step(self, app: int, stream: str, after: int) -> None:
        steps = list(self.apps[app].history(Shelf, stream, after=after))
        last = len(self.models[stream].states) - 1
        assert [step.version for step in steps] == list(range(after + 1, last + 1))
        for each in steps:
            self.agrees(each.state, stream, each.version)

    @rule(app=which, stream=streams)
    def vandalise(self, app: int, stream: str) -> None:
        state = self.apps[app].load(Shelf, stream).state
        state.items.clear()
        state.log.append(("spoilt", 0))

    @rule(app=which)
    def restart(self, app: int) -> None:
        self.apps[app] = Act(self.store, Shelf)

    @rule(app=which, stream=streams)
    def snapshot(self, app: int, stream: str) -> None:
        if len(self.models[stream].states) > 1:
            self.apps[app].snapshot(Shelf, stream)

    @invariant()
    def every_app_sees_the_same(self) -> None:
        for stream, model in self.models.items():
            for app in self.apps:
                snapshot = app.load(Shelf, stream)
                assert snapshot.version == len(model.states) - 1
                self.agrees(snapshot.state, stream, snapshot.version)

    def agrees(self, state: Shelf, stream: str, version: int) -> None:
        expected = self.models[stream].states[version]
        assert {item: count for item, count in state.items.items() if item in expected or count} == expected
        assert state.total == sum(expected.values())
        assert len(state.log) == version

    def teardown(self) -> None:
        self.store.close()


TestShelves = Shelves.TestCase
