"""What the core folds of declared states is what Python folds of them, and what coded reducers make of the events.

Random logs, with JSON as others may write it: reordered, spaced, escaped, with nulls, strange keys and missing fields.
More of them with ACT_FAST_EXAMPLES=1000.
"""

import json
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from act_fast import (
    Act,
    ActError,
    Append,
    DecodeError,
    Event,
    FoldError,
    LogStore,
    State,
    StateProjection,
    action,
    collect,
    count,
    distinct,
    first,
    last,
    maximum,
    minimum,
    one_of,
    reducer,
    total,
    upcast,
)
from act_fast._loading import replay_groups as replaying
from act_fast._loading.replay import replay_pages
from act_fast.testing import given as given_events

EXAMPLES = int(os.environ.get("ACT_FAST_EXAMPLES", "25"))
INT_MAX = 2**63 - 1


class Part(msgspec.Struct, frozen=True):
    price: int
    quantity: int = 2
    note: str | None = None


class Added(Event):
    amount: int
    kind: Literal["sale", "gift"] = "sale"
    weight: float = 0.5
    by: str | None = None
    at: datetime | None = None
    part: Part | None = None
    loud: bool = False
    more: dict[str, Any] | None = None


class Taken(Event):
    amount: int
    weight: float = 1.0


class Named(Event):
    owner: str


class Declared(State, events=[Named]):
    owner: str = ""
    left: str = "as it was"
    net: int = total(Added.amount) - total(Taken.amount) + 3
    gifts: int = count(Added, where=lambda e: e.kind == "gift")
    events: int = count(Added, Taken)
    mass: float = total(Added.weight) - total(Taken, lambda e: e.weight * e.amount)
    cost: int = total(
        Added, lambda e: e.part.price * e.part.quantity, where=lambda e: ~one_of(e.part.note, "free", None)
    )
    by: str | None = last(Added.by)
    opened: datetime | None = first(Added.at)
    latest: datetime | None = maximum(Added.at)
    least: int | None = minimum(Added.amount, Taken.amount)
    name: str | None = maximum(Added.by)
    recent: list[int] = collect(Added.amount, most=3)
    people: list[str] = distinct(Added.by, most=20)
    loud: int = count(Added, where=lambda e: (e.loud | (e.weight > 1)) & (e.amount >= 0.5))
    average: float | None = total(Added.amount) / count(Added)
    rest: int | None = total(Added.amount) % count(Added)
    spread: int | None = maximum(Added.amount) - minimum(Added.amount)
    per: float = total(Added, lambda e: e.amount / e.part.quantity)
    floor: int = total(Added, lambda e: -e.amount // 7)


class Coded(State):
    owner: str = ""
    net: int = 3
    gifts: int = 0
    events: int = 0
    mass: float = 0.0
    cost: int = 0
    by: str | None = None
    opened: datetime | None = None
    latest: datetime | None = None
    least: int | None = None
    name: str | None = None
    recent: list[int] = []
    people: list[str] = []
    loud: int = 0
    average: float | None = None
    rest: int | None = None
    spread: int | None = None
    per: float = 0.0
    floor: int = 0
    amounts: list[int] = []

    @reducer
    def named(self, event: Named) -> None:
        self.owner = event.owner

    @reducer
    def added(self, event: Added) -> None:
        self.net += event.amount
        self.gifts += event.kind == "gift"
        self.events += 1
        self.mass += event.weight
        if event.part is not None:
            if event.part.note not in ("free", None):
                self.cost += event.part.price * event.part.quantity
            if event.part.quantity:
                self.per += float(event.amount) / float(event.part.quantity)
        if event.by is not None:
            self.by = event.by
            self.name = event.by if self.name is None else max(self.name, event.by)
            if event.by not in self.people:
                self.people.append(event.by)
        if event.at is not None:
            self.opened = self.opened or event.at
            self.latest = event.at if self.latest is None else max(self.latest, event.at)
        self.least = event.amount if self.least is None else min(self.least, event.amount)
        self.recent = [*self.recent, event.amount][-3:]
        self.loud += (event.loud or event.weight > 1) and event.amount >= 0.5
        self.amounts.append(event.amount)
        self.average = float(sum(self.amounts)) / float(len(self.amounts))
        self.rest = sum(self.amounts) % len(self.amounts)
        self.spread = max(self.amounts) - min(self.amounts)
        self.floor += -event.amount // 7

    @reducer
    def taken(self, event: Taken) -> None:
        self.net -= event.amount
        self.events += 1
        self.mass -= event.weight * event.amount
        self.least = event.amount if self.least is None else min(self.least, event.amount)


AMOUNTS = st.integers(-1000, 1000) | st.sampled_from([0, 1, 2**53 + 1, -(2**53) - 1, 2**40])
TEXTS = st.text(max_size=5) | st.sampled_from(['"', "\\", "\n", "é", "💥", "\u2028", "\x00", "free"])
FLOATS = st.floats(-1e6, 1e6) | st.integers(-5, 5)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)


@st.composite
def objects(draw: st.DrawFn, fields: dict[str, Any], required: tuple[str, ...]) -> list[tuple[str, Any]]:
    """The members of an object in any order, some of them missing, some unknown."""
    chosen = [name for name in fields if name in required or draw(st.booleans())]
    members = [(name, draw(fields[name])) for name in draw(st.permutations(chosen))]
    if draw(st.integers(0, 9)) == 0:
        members.insert(draw(st.integers(0, len(members))), (draw(st.text(max_size=3)) + "?", draw(ANYTHING)))
    return members


PARTS = objects({"price": st.integers(-100, 100), "quantity": st.integers(0, 5), "note": st.none() | TEXTS}, ("price",))
ADDED = objects(
    {
        "amount": AMOUNTS,
        "kind": st.sampled_from(["sale", "gift"]),
        "weight": FLOATS,
        "by": st.none() | TEXTS,
        "at": st.none() | MOMENTS,
        "part": st.none() | PARTS,
        "loud": st.booleans(),
        "more": st.none() | st.dictionaries(st.text(max_size=2), ANYTHING, max_size=2),
    },
    ("amount",),
)
TAKEN = objects({"amount": st.integers(-1000, 1000), "weight": FLOATS}, ("amount",))
NAMED = objects({"owner": TEXTS}, ("owner",))
EVENTS = st.one_of(
    st.tuples(st.just("Added"), ADDED), st.tuples(st.just("Taken"), TAKEN), st.tuples(st.just("Named"), NAMED)
)
LOGS = st.lists(st.tuples(st.integers(0, 4), EVENTS, st.integers(0, 2)), min_size=1, max_size=40)


def escaped(key: str) -> str:
    return '"' + "".join(f"\\u{ord(letter):04x}" if ord(letter) < 65536 else letter for letter in key) + '"'


def written(value: Any, style: int) -> str:
    """JSON in one of several styles: compact, with spaces and only ASCII, with all letters of keys escaped."""
    if isinstance(value, list) and all(isinstance(each, tuple) for each in value):
        space = " \n" if style == 1 else ""
        key = escaped if style == 2 else json.dumps
        pairs = [f"{space}{key(name)}{space}:{space}{written(each, style)}" for name, each in value]
        return "{" + ",".join(pairs) + space + "}"
    if isinstance(value, datetime):
        return str(json.dumps(msgspec.to_builtins(value)))
    return json.dumps(value, ensure_ascii=style == 1)


def states(store: LogStore, state: type[State], **options: Any) -> dict[str, Any]:
    return {stream: each.state for stream, each in Act(store, state, unknown="raise").replay(state, **options)}


def fields_of_all(states: dict[str, Any], names: list[str]) -> dict[str, dict[str, Any]]:
    return {stream: {name: getattr(state, name) for name in names} for stream, state in states.items()}


@pytest.fixture(params=[1, 3], ids=["one group", "small groups"])
def groups(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == 3:
        monkeypatch.setattr(replaying, "GROUP_STREAMS_MAX", 3)
        monkeypatch.setattr(replaying, "_PAGE_STREAMS", 2)


@pytest.fixture
def in_python() -> Callable[[Any], Any]:
    """Has a function folded without the core."""

    def run(function: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(replaying.Folding, "_folded_in_core", lambda *_: False)
            return function()

    return run


@pytest.mark.usefixtures("groups")
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=LOGS, cut=st.integers(0, 40))
def test_core_python_and_coded_reducers_agree(in_python: Any, log: list[Any], cut: int) -> None:
    with LogStore.memory(segment_bytes=64 * 1024) as store:
        for stream, (name, members), style in log:
            store.append(f"stream-{stream}", [(name, written(members, style).encode())])
        cut = min(cut, store.head)
        model = Act(store, Declared)._engine.registry.model_of(Declared)
        assert model.declaration is not None
        for at in (cut, store.head):
            core = states(store, Declared, at=at)
            assert core == in_python(lambda at=at: states(store, Declared, at=at))
            coded = states(store, Coded, at=at)
            names = [each for each in Coded.__struct_fields__ if each != "amounts"]
            assert fields_of_all(core, names) == fields_of_all(coded, names)
            assert all(each.left == "as it was" for each in core.values())
            app = Act(store, Declared)
            assert core == {stream: app.load(Declared, stream, position=at).state for stream in core}
        rows = [row for page in replay_pages(store, model, cut=store.head) for row in page]
        assert {row[0]: msgspec.json.decode(row[3], type=Declared) for row in rows} == core


def outcome(function: Any) -> Any:
    try:
        return function()
    except ActError as error:
        return type(error), str(error)


BROKEN = [
    b"{}",
    b"[]",
    b"null",
    b'{"amount": "5"}',
    b'{"amount": 1.5}',
    b'{"amount": true}',
    b'{"amount": null}',
    b'{"amount": 5, "kind": "other"}',
    b'{"amount": 5, "kind": 5}',
    b'{"amount": 5, "weight": "1"}',
    b'{"amount": 5, "weight": null}',
    b'{"amount": 5, "by": 5}',
    b'{"amount": 5, "at": "yesterday"}',
    b'{"amount": 5, "part": {"quantity": 1}}',
    b'{"amount": 5, "part": []}',
    b'{"amount": 5, "part": {"price": "1"}}',
    b'{"amount": 5, "loud": 1}',
    b'{"amount": 5, "more": []}',
]
STRANGE = [
    b'{"amount": 5.0}',
    b'{"amount": 5e0}',
    b'{"amount": -0}',
    b'{"amount": 5, "at": "2026-01-01T00:00:00+02:00"}',
    b'{"amount": 5, "at": "2026-01-01 00:00:00.5Z"}',
    b'{"amount": 5, "at": "2026-01-01T00:00:00"}',
    b'{"amount": 5, "weight": 1e2}',
    b'{"amount": 5, "weight": 123456789012345678901234567890.0}',
    b'{"amount": 5, "weight": 0.1000000000000000055511151231257827021181583404541015625}',
    b'{"amount": 9223372036854775807}',
    b'{"amount": -9223372036854775808}',
    b' {\t"amount"\n:\r1 } ',
]


@pytest.mark.parametrize("data", BROKEN + STRANGE)
def test_what_is_broken_or_strange_is_the_same_to_both(in_python: Any, data: bytes) -> None:
    with LogStore.memory(segment_bytes=64 * 1024) as store:
        for number in range(5):
            store.append(f"stream-{number % 2}", [Added(number)])
        store.append("stream-1", [("Added", data), Added(1)])
        found = outcome(lambda: states(store, Declared))
        assert found == in_python(lambda: outcome(lambda: states(store, Declared)))
        if data in BROKEN:
            assert found[0] is DecodeError
            assert "version 3 of stream 'stream-1'" in found[1]


def test_the_first_event_that_does_not_fit_is_named(in_python: Any) -> None:
    class Small(State):
        net: int = total(Added.amount)
        people: list[str] = distinct(Added.by, most=2)

    with LogStore.memory(segment_bytes=64 * 1024) as store:
        store.append("one", [Added(INT_MAX)])
        store.append("two", [Added(1, by=letter) for letter in "abc"])
        store.append("one", [Added(1)])
        with pytest.raises(FoldError, match=r"Small\.people: .*2 distinct.*version 3 of stream 'two', position 4"):
            states(store, Small)
        assert outcome(lambda: states(store, Small)) == in_python(lambda: outcome(lambda: states(store, Small)))
        assert states(store, Small, at=3).keys() == {"one", "two"}
        with pytest.raises(FoldError, match=r"Small\.net: .* 64 bits.*version 2 of stream 'one', position 5"):
            states(store, Small, streams="one")


class Weighed(Event, name="Weighed_v2"):
    grams: int

    @upcast(from_="Weighed")
    @staticmethod
    def from_kilos(old: dict[str, Any]) -> dict[str, Any]:
        return {"grams": old["kilos"] * 1000}


class Scale(State):
    grams: int = total(Weighed.grams)
    last: int | None = last(Weighed.grams)


def test_upcast_events_are_read_by_python_and_folded_by_the_core() -> None:
    with LogStore.memory() as store:
        app = Act(store, Scale)
        assert app._engine.registry.model_of(Scale).declaration is not None
        for number in range(100):
            store.append(f"scale-{number % 3}", [("Weighed", b'{"kilos": 2}'), Weighed(5)])
        assert sum(each.state.grams for _, each in app.replay(Scale)) == 100 * 2005
        store.append("scale-1", [("Weighed", b"{}")])
        with pytest.raises(KeyError) as caught:
            list(app.replay(Scale))
        assert any("stream 'scale-1'" in note for note in caught.value.__notes__)


def test_a_state_of_copied_fields_alone_is_folded_in_the_core() -> None:
    class Shown(Event):
        title: str
        size: int | None = None

    class Picture(State):
        title: str = ""
        size: int | None = 7

        @action
        def show(self, title: str) -> Shown:
            return Shown(title)

    with LogStore.memory() as store:
        app = Act(store, Picture)
        assert app._engine.registry.model_of(Picture).declaration is not None
        store.append("one", [Shown("a", 3), Shown("b")])
        ((_, found),) = app.replay(Picture)
        assert found.state == app.load(Picture, "one").state == Picture("b", None)


def test_states_that_only_python_can_fold_have_no_declaration() -> None:
    class Mixed(State):
        net: int = total(Added.amount)
        coded: int = 0

        @reducer
        def added(self, event: Added) -> None:
            self.coded += 1

    class Exotic(State):
        more: list[dict[str, Any]] = collect(Added.more)

    class Bounded(State):
        net: Annotated[int, msgspec.Meta(ge=0)] = total(Added.amount)

    with LogStore.memory() as store:
        for state in (Mixed, Exotic, Bounded):
            app = Act(store, state)
            assert app._engine.registry.model_of(state).declaration is None
        store.append("one", [Added(1, more={"a": 1})])
        assert states(store, Mixed) == {"one": Mixed(1, 1)}
        assert states(store, Bounded) == {"one": Bounded(1)}
        assert states(store, Exotic) == {"one": Exotic([{"a": 1}])}


def test_many_streams_on_all_cores_are_what_they_are_on_one(dice: Any) -> None:
    with LogStore.memory() as store:
        for _ in range(60):
            streams = {f"stream-{dice.randrange(5000)}" for _ in range(900)}
            store.append_many([Append(each, [Added(dice.randrange(9), weight=dice.random())]) for each in streams])
        app = Act(store, Declared, cache_max=0)
        found = dict(app.replay(Declared))
        for stream in dice.sample(sorted(found), 200):
            assert found[stream].state == app.load(Declared, stream).state
            assert found[stream].version == store.version(stream)
        assert sum(each.state.events for each in found.values()) == store.head


def test_an_error_of_progress_ends_the_fold() -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    with LogStore.memory() as store:
        store.append("one", [Added(1)])
        with pytest.raises(Stop):
            list(Act(store, Declared).replay(Declared, progress=stop))


def test_times_are_exact(in_python: Any) -> None:
    start = datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)
    with LogStore.memory() as store:
        store.append("one", [Added(1, at=start + number * timedelta(days=373, microseconds=1)) for number in range(90)])
        assert states(store, Declared) == in_python(lambda: states(store, Declared))


def test_ctrl_c_ends_a_fold_and_the_store_goes_on() -> None:
    with LogStore.memory() as store:
        for start in range(0, 60_000, 1000):
            store.append("one", [Added(start)] * 1000)
        app = Act(store, Declared)
        presses: list[threading.Thread] = []

        def press(done: int, total: int) -> None:
            if not presses:
                presses.append(threading.Thread(target=signal.raise_signal, args=(signal.SIGINT,)))
                presses[0].start()
                presses[0].join()

        with pytest.raises(KeyboardInterrupt):
            list(app.replay(Declared, progress=press))
        assert app.load(Declared, "one").version == 60_000


def test_given_when_then_know_declared_fields() -> None:
    class Account(State):
        net: int = total(Added.amount) - total(Taken.amount)

        @action
        def take(self, amount: int) -> Taken | None:
            return Taken(amount) if amount <= self.net else None

    given_events(Account, Added(5), Taken(2)).when(Account.take, amount=3).then(Taken(3))
    given_events(Account, Added(5), Taken(2)).when(Account.take, amount=4).then()


def test_the_relation_of_states_says_of_a_stream_why_it_does_not_fold() -> None:
    class Account(State):
        net: int = total(Added.amount)

    with LogStore.memory() as store:
        store.append("good", [Added(1)])
        store.append("bad", [Added(INT_MAX), Added(1)])
        rows = Act(store, Account).sql("select stream, net, error from account order by stream").fetchall()
        (stream, net, reason), good = rows
        assert (stream, net, good) == ("bad", None, ("good", 1, None))
        assert reason.startswith("Account.net: a number does not fit 64 bits")


class Averaged(State):
    average: float | None = total(Added.amount) / count(Added)


def test_fields_that_only_serve_declared_ones_are_no_columns() -> None:
    with LogStore.memory() as store:
        app = Act(store, StateProjection(Averaged, duckdb.connect(), table="averages"))
        store.append("one", [Added(1), Added(2)])
        app.settle()
        assert app.sql("from averaged").columns == ["stream", "version", "position", "average", "error"]
        assert app.sql("from averaged_at(1)").fetchall() == [("one", 1, 1, 1.0, None)]
        (projection,) = (each for each in app._engine.registry.components if isinstance(each, StateProjection))
        with projection._database.transaction() as db:
            assert db.rows("from averages") == [("one", 2, 2, 1.5)]
