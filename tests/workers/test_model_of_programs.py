"""Several programs on one store, each with a definition of its own of one reaction, restarted with others at any time.

Each takes some of the classes, from some of the streams, and finds targets by a name, a template or a function that
fails at some numbers. Whatever they do, and in whatever turns:

* a program is given only what it takes;
* nothing is given twice, whichever program had it;
* on each target the events of a class from a stream come in order, whoever is given them;
* in the end, when a program that takes everything has settled, nothing is missing.

`ACT_FAST_MODEL_EXAMPLES` says how many histories are tried (150).
"""

import os
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from act_fast import Act, Committed, Event, LogStore

EXAMPLES: Final = int(os.environ.get("ACT_FAST_MODEL_EXAMPLES", "150"))
STREAMS: Final = ["a", "b", "ab"]
SOURCES: Final[dict[str | None, set[str]]] = {None: {"a", "b", "ab"}, "a": {"a"}, "b": {"b"}, "b$": {"b", "ab"}}
PROGRAMS: Final = 3


class A(Event):
    number: int


class B(Event):
    number: int


class C(Event):
    number: int


CLASSES: Final[list[type[Event]]] = [A, B, C]


class Program:
    """One definition of the reaction at work."""

    def __init__(self, machine: "Programs", classes: list[type[Event]], source: str | None, to: str) -> None:
        self.classes, self.source = classes, source
        self.app = Act(machine.store)
        machine.apps.append(self.app)

        def handler(event: Committed[Any]) -> None:
            machine.handle(self, event)

        find: Any = machine.find if to == "function" else to
        self.app.on(*classes, name="mailer", to=find, source=source, retries=1, backoff=0)(handler)
        # Of another reaction, on the same targets: nothing that happens to the first one may keep it waiting.
        self.app.on(*CLASSES, name="other", to=to if to != "function" else "all")(machine.other)

    def takes(self, event: Committed[Any]) -> bool:
        """Whether the reaction of this program is for an event."""
        return type(event.data) in self.classes and event.stream in SOURCES[self.source]


class Programs(RuleBasedStateMachine):
    mixed = False
    """Whether programs may disagree on the target, instead of on the source."""

    @initialize(to=st.sampled_from(["all", "{stream}", "{data.number}", "function"]))
    def open(self, to: str) -> None:
        self.store = LogStore.memory()
        self.apps: list[Act] = []
        self.to = to
        self.broken: set[int] = set()
        self.log: list[tuple[str, type[Event], int]] = []
        self.handled: list[int] = []
        self.others: set[int] = set()
        self.last: dict[tuple[str, str, type[Event]], int] = {}
        source = None if self.mixed else "a"
        self.programs = [Program(self, [A], None, to), Program(self, [A, B], None, to), Program(self, [A], source, to)]

    def find(self, event: Committed[Any]) -> list[str]:
        if event.data.number in self.broken:
            raise ValueError("broken")
        return [] if event.data.number == 4 else [f"p{event.data.number % 2}"]

    def target(self, stream: str, number: int) -> str | None:
        """Where an event goes, if all programs agree."""
        if self.to == "function":
            return None if number == 4 else f"p{number % 2}"
        return {"all": "all", "{stream}": stream, "{data.number}": str(number)}[self.to]

    def handle(self, program: Program, event: Committed[Any]) -> None:
        assert program.takes(event), f"{event.name} of {event.stream} is nothing for {program.classes}"
        assert event.position not in self.handled, f"{event.position} was handled before"
        self.handled.append(event.position)
        if not self.mixed:
            target = self.target(event.stream, event.data.number)
            assert target is not None
            place = target, event.stream, type(event.data)
            assert event.position > self.last.get(place, 0), f"{event.position} comes after {self.last[place]}"
            self.last[place] = event.position

    def other(self, event: Committed[Any]) -> None:
        assert event.position not in self.others
        self.others.add(event.position)

    @rule(
        stream=st.sampled_from(STREAMS),
        events=st.lists(st.tuples(st.sampled_from(CLASSES), st.integers(0, 4)), min_size=1, max_size=6),
    )
    def append(self, stream: str, events: list[tuple[type[Event], int]]) -> None:
        for kind, number in events:
            self.store.append(stream, [kind(number)])  # type: ignore[call-arg]
            self.log.append((stream, kind, number))

    @rule(which=st.integers(0, PROGRAMS - 1), limit=st.none() | st.integers(1, 4))
    def correlate(self, which: int, limit: int | None) -> None:
        self.programs[which].app.correlate(limit)

    @rule(which=st.integers(0, PROGRAMS - 1), limit=st.none() | st.integers(1, 2))
    def drain(self, which: int, limit: int | None) -> None:
        assert not self.programs[which].app.drain(limit, concurrency=1).lost

    @rule(which=st.integers(0, PROGRAMS - 1))
    def settle(self, which: int) -> None:
        app = self.programs[which].app
        app.settle(concurrency=1)
        assert not app.settle(concurrency=1).drained.leased, "settling leaves nothing to be done"
        assert self.others == set(range(1, self.store.head + 1)), "another reaction has waited"
        for target in app.targets():
            assert target.blocked or target.lag == 0 or not target.known, target  # others go on with what is theirs

    @rule(
        which=st.integers(0, PROGRAMS - 1),
        classes=st.lists(st.sampled_from(CLASSES), min_size=1, unique=True),
        source=st.sampled_from(list(SOURCES)),
        to=st.sampled_from(["all", "{stream}", "{data.number}", "function"]),
        closes=st.booleans(),
    )
    def restart_with_another_definition(
        self, which: int, classes: list[type[Event]], source: str | None, to: str, closes: bool
    ) -> None:
        if closes:
            self.programs[which].app.close()
        self.programs[which] = Program(self, classes, *((None, to) if self.mixed else (source, self.to)))

    @rule(number=st.integers(0, 3))
    def break_or_repair(self, number: int) -> None:
        self.broken ^= {number}

    @precondition(lambda self: bool(getattr(self, "broken", None)))
    @rule(which=st.integers(0, PROGRAMS - 1))
    def unblock(self, which: int) -> None:
        self.programs[which].app.unblock()

    @invariant()
    def nobody_holds_anything(self) -> None:
        if hasattr(self, "programs"):
            assert all(target.holder is None for target in self.programs[0].app.targets())

    def teardown(self) -> None:
        if not hasattr(self, "programs"):
            return
        self.broken.clear()
        all_of_it = Program(self, CLASSES, None, self.to)
        all_of_it.app.unblock()
        all_of_it.app.settle(concurrency=1)
        if not self.mixed:
            expected = [at for at, (stream, _, number) in enumerate(self.log, 1) if self.target(stream, number)]
            assert sorted(self.handled) == expected
        for target in all_of_it.app.targets():
            if target.known:  # a program that is gone may have left its reaction holding, for a source that is its own
                assert (target.lag, target.blocked) == (0, False)
        for app in self.apps:  # what each has open goes with it, not when it is collected one day
            app.close()
        self.store.close()


class MixedPrograms(Programs):
    mixed = True

    def find(self, event: Committed[Any]) -> list[str]:
        if event.data.number in self.broken:
            raise ValueError("broken")
        return [f"p{event.data.number % 2}"]

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "programs"):
            assert sorted(self.handled) == list(range(1, len(self.log) + 1))


_settings = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
TestPrograms = Programs.TestCase
TestPrograms.settings = _settings
TestMixedPrograms = MixedPrograms.TestCase
TestMixedPrograms.settings = _settings
