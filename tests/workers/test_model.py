"""Any history of what events, workers and people do to targets, against a model in plain Python.

The model knows of each reaction and target the events that there are, in order, and how many have been handled. It
is asked at each call of a handler whether this event may come now, and at the end whether nothing is missing.
"""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from act_fast import Act, Committed, Event, LogStore, State, action

STREAMS = ["a", "b", "ab"]
LATE = ["late", "later", "latest"]


class Put(Event):
    number: int


class Taken(Event):
    number: int


class Box(State, events=[Put, Taken]):
    number: int = 0

    @action
    def put(self, number: int) -> Put:
        return Put(number)

    @action
    def take(self, number: int) -> Taken:
        return Taken(number)


Handled = Committed[Put | Taken]
Finder = Callable[[str, Put | Taken], list[str]]
"""The target of an event, by the stream and the event; none for events that the reaction does not listen to."""

FINDERS: dict[str, Finder] = {
    "own": lambda stream, event: [stream] if isinstance(event, Put) else [],
    "all": lambda stream, event: ["all"],
    "all-of-a": lambda stream, event: ["all"] if stream == "a" else [],
    "parity": lambda stream, event: [f"p{event.number % 2}"] if event.number else [],
    **{name: lambda stream, event: ["all"] if isinstance(event, Taken) else [] for name in LATE},
}
FIRST = ["own", "all", "all-of-a", "parity"]


class Model:
    """What is to be handled, and what has been."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Put | Taken]] = []
        self.handled: dict[tuple[str, str], int] = {}
        self.poison: set[int] = set()

    def expected(self, reaction: str, target: str) -> list[int]:
        """The positions that concern a reaction on a target."""
        find = FINDERS[reaction]
        return [at for at, (stream, event) in enumerate(self.log, 1) if target in find(stream, event)]

    def pairs(self, reactions: list[str]) -> set[tuple[str, str]]:
        """Each reaction with each target that it has events for."""
        found = {
            name: {target for stream, event in self.log for target in FINDERS[name](stream, event)}
            for name in reactions
        }
        return {(name, target) for name, targets in found.items() for target in targets}

    def begin(self, reaction: str, target: str, position: int) -> None:
        """An event comes: the next one, or, if another reaction failed on it, the last one once more."""
        expected = self.expected(reaction, target)
        done = self.handled.get((reaction, target), 0)
        may_come = expected[max(0, done - 1) : done + 1]
        assert position in may_come, f"{reaction} on {target} was given {position}, not one of {may_come}"

    def end(self, reaction: str, target: str, position: int) -> None:
        """It was handled."""
        self.handled[reaction, target] = self.expected(reaction, target).index(position) + 1


class Targets(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.store = LogStore.memory()
        self.model = Model()
        self.reactions = list(FIRST)
        self.watermarks: dict[str, int] = {}
        self.apps = [self.app(), self.app()]

    def app(self) -> Act:
        app = Act(self.store, Box)
        for name in self.reactions:
            self.declare(app, name)
        return app

    def declare(self, app: Act, name: str) -> None:
        def handler(event: Handled) -> None:
            (target,) = FINDERS[name](event.stream, event.data)
            self.model.begin(name, target, event.position)
            if event.data.number in self.model.poison:
                raise ValueError("poison")
            self.model.end(name, target, event.position)

        options = {
            "own": {"to": "{stream}"},
            "all": {"to": "all"},
            "all-of-a": {"to": "all", "source": "a"},
            "parity": {"to": lambda event: FINDERS["parity"](event.stream, event.data)},
        }
        events = (Put,) if name == "own" else (Taken,) if name in LATE else (Put, Taken)
        app.on(*events, name=name, retries=1, backoff=0, **options.get(name, {"to": "all"}))(handler)  # type: ignore[call-overload]

    @rule(stream=st.sampled_from(STREAMS), numbers=st.lists(st.integers(0, 4), max_size=6), put=st.booleans())
    def append(self, stream: str, numbers: list[int], put: bool) -> None:
        for number in numbers:
            self.apps[0].do(Box.put if put else Box.take, stream, number=number)
            self.model.log.append((stream, Put(number) if put else Taken(number)))

    @rule(which=st.integers(0, 1), limit=st.none() | st.integers(0, 3))
    def correlate(self, which: int, limit: int | None) -> None:
        done = self.apps[which].correlate(limit)
        assert limit is None or done.examined <= limit

    @rule(which=st.integers(0, 1), limit=st.none() | st.integers(0, 2))
    def drain(self, which: int, limit: int | None) -> None:
        done = self.apps[which].drain(limit, concurrency=1)
        assert limit is None or done.leased <= limit
        assert not done.lost

    @rule(which=st.integers(0, 1), limit=st.integers(1, 3))
    def work_a_little(self, which: int, limit: int) -> None:
        """Correlate some, drain what is known by then: what a worker does that has much to catch up on."""
        self.apps[which].correlate(limit)
        self.apps[which].drain(concurrency=1)

    @rule(which=st.integers(0, 1))
    def settle(self, which: int) -> None:
        self.apps[which].settle(concurrency=1)
        assert not self.apps[which].settle(concurrency=1).drained.leased, "settling leaves nothing to be done"

    @rule(number=st.integers(0, 4))
    def poison(self, number: int) -> None:
        self.model.poison ^= {number}

    @rule(which=st.integers(0, 1))
    def unblock(self, which: int) -> None:
        blocked = len(list(self.apps[which].blocked()))
        assert self.apps[which].unblock() == blocked

    @rule(data=st.data(), which=st.integers(0, 1))
    def reset(self, data: st.DataObject, which: int) -> None:
        names = [target.name for target in self.apps[which].targets()]
        if names:
            name = data.draw(st.sampled_from(names))
            assert self.apps[which].reset(name) == 1
            self.watermarks.pop(name, None)
            for pair in list(self.model.handled):
                if pair[1] == name:
                    self.model.handled[pair] = 0

    @rule(data=st.data(), priority=st.integers(-2, 2))
    def prioritize(self, data: st.DataObject, priority: int) -> None:
        names = [target.name for target in self.apps[0].targets()]
        if names:
            self.apps[0].prioritize(data.draw(st.sampled_from(names)), priority)

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        self.apps[which].close()
        self.apps[which] = self.app()

    @precondition(lambda self: LATE[-1] not in self.reactions)
    @rule()
    def a_reaction_comes_late(self) -> None:
        name = LATE[len(self.reactions) - len(FIRST)]
        self.reactions.append(name)
        for app in self.apps:
            self.declare(app, name)

    @invariant()
    def watermarks_never_go_back(self) -> None:
        if not hasattr(self, "apps"):
            return
        for target in self.apps[0].targets():
            assert target.holder is None
            assert target.mark <= self.store.head
            assert target.watermark <= self.store.head
            if not target.blocked and not set(LATE) & set(target.reactions):
                assert target.watermark >= self.watermarks.get(target.name, 0)
                self.watermarks[target.name] = target.watermark

    def teardown(self) -> None:
        if not hasattr(self, "apps"):
            return
        self.model.poison.clear()
        for app in self.apps:
            app.unblock()
            app.settle(concurrency=1)
        self.nothing_is_missing()
        for app in self.apps:
            app.close()
        self.store.close()

    def nothing_is_missing(self) -> None:
        for reaction, target in self.model.pairs(self.reactions):
            expected = self.model.expected(reaction, target)
            assert self.model.handled.get((reaction, target), 0) == len(expected), (reaction, target)
        for target in self.apps[0].targets():
            assert (target.lag, target.blocked, target.watermark) == (0, False, self.store.head)


TestTargets = Targets.TestCase
