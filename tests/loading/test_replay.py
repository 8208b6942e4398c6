"""Replay: every stream's state from one pass, the same that loading each stream gives."""

import logging
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from act_fast import (
    Act,
    Append,
    AsyncAct,
    DecodeError,
    DefinitionError,
    Event,
    LogStore,
    State,
    ValidationError,
    reducer,
)
from act_fast._loading import replay_groups as replaying
from act_fast._loading.replay import replay_pages
from tests.support.apps import AnyStore


class Sold(Event):
    amount: int


class Refunded(Event):
    amount: int


class Till(State):
    takings: int = 0
    sales: int = 0

    @reducer
    def sold(self, event: Sold) -> None:
        self.takings += event.amount
        self.sales += 1

    @reducer
    def refunded(self, event: Refunded) -> None:
        self.takings -= event.amount


class Counted(Event):
    pieces: int


class Shelf(State):
    pieces: int = 0

    @reducer
    def counted(self, event: Counted) -> None:
        self.pieces = event.pieces


@pytest.fixture(params=[LogStore, AnyStore], ids=["the log", "any store"])
def app(request: pytest.FixtureRequest) -> Iterator[Act]:
    with request.param.memory(segment_bytes=64 * 1024) as store:
        yield Act(store, Till, Shelf)


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "GROUP_STREAMS_MAX", 7)
    monkeypatch.setattr(replaying, "_PAGE_EVENTS", 5)
    monkeypatch.setattr(replaying, "_PAGE_STREAMS", 3)


def fill(app: Act, dice: random.Random, commits: int = 300, streams: int = 40) -> None:
    for _ in range(commits):
        parts = {}
        for _ in range(dice.randint(1, 4)):
            number = dice.randrange(streams)
            stream = f"till-{number}" if number % 3 else f"shelf-{number}"
            event: Event = Counted(dice.randrange(9)) if not number % 3 else Sold(dice.randrange(100))
            parts.setdefault(stream, []).append(event)
        app.store.append_many([Append(stream, events) for stream, events in parts.items()])


def shown(snapshot: Any) -> tuple[Any, ...]:
    return snapshot.version, snapshot.position, snapshot.closed, msgspec.structs.astuple(snapshot.state)


@pytest.mark.usefixtures("small_groups")
def test_replay_gives_each_stream_of_the_state_as_loading_it_does_in_the_order_they_came_to_be(
    app: Act, dice: random.Random
) -> None:
    fill(app, dice)
    app.close_stream(Till, "till-1")
    expected = [
        (info.stream, shown(app.load(Till, info.stream)))
        for info in app.store.streams()
        if info.stream.startswith("till")
    ]
    assert [(stream, shown(snapshot)) for stream, snapshot in app.replay(Till)] == expected


@pytest.mark.usefixtures("small_groups")
def test_replay_at_a_position_is_what_loading_at_that_position_gives(app: Act, dice: random.Random) -> None:
    fill(app, dice)
    for cut in (0, 1, dice.randrange(app.store.head), app.store.head):
        found = dict(app.replay(Till, at=cut))
        for stream, snapshot in found.items():
            assert shown(snapshot) == shown(app.load(Till, stream, position=cut))
        missing = [each.stream for each in app.store.streams(pattern="^till") if each.stream not in found]
        assert all(not app.load(Till, stream, position=cut).version for stream in missing)


def test_replay_at_a_time_includes_it(app: Act) -> None:
    app.store.append("till-1", [Sold(1)])
    (first,) = app.query()
    while True:
        app.store.append("till-1", [Sold(2)])
        *_, last = app.query()
        if last.created > first.created:
            break
    ((_, then),) = app.replay(Till, at=first.created)
    assert then.state.sales == sum(each.created == first.created for each in app.query())
    assert list(app.replay(Till, at=first.created - timedelta(microseconds=1))) == []
    ((_, now),) = app.replay(Till, at=datetime.max.replace(tzinfo=UTC))
    assert now.version == app.load(Till, "till-1").version


def test_what_is_appended_while_a_replay_goes_on_is_not_in_it(app: Act) -> None:
    app.store.append("till-1", [Sold(1)])
    replay = app.replay(Till)
    app.store.append("till-1", [Sold(1)])
    app.store.append("till-2", [Sold(1)])
    assert [(stream, each.version, each.state.sales) for stream, each in replay] == [("till-1", 1, 1)]


@pytest.mark.usefixtures("small_groups")
def test_a_pattern_narrows_the_streams(app: Act, dice: random.Random) -> None:
    fill(app, dice)
    found = dict(app.replay(Till, streams=r"^till-\d$"))
    assert list(found) == [each.stream for each in app.store.streams(pattern=r"^till-\d$")]
    assert all(shown(each) == shown(app.load(Till, stream)) for stream, each in found.items())


@pytest.mark.usefixtures("small_groups")
def test_a_replay_goes_on_after_the_stream_where_it_was_interrupted(app: Act, dice: random.Random) -> None:
    fill(app, dice)
    whole = [(stream, shown(each)) for stream, each in app.replay(Till, at=200)]
    for taken in (1, 5, len(whole) - 1):
        first = [(stream, shown(each)) for stream, each in (next_of(app.replay(Till, at=200), taken))]
        rest = [(stream, shown(each)) for stream, each in app.replay(Till, at=200, after=first[-1][0])]
        assert first + rest == whole


def next_of(replay: Iterator[Any], count: int) -> list[Any]:
    return [next(replay) for _ in range(count)]


def test_the_rows_for_tables_hold_the_same_states(app: Act, dice: random.Random) -> None:
    fill(app, dice)
    model = app._engine.registry.model_of(Till)
    rows = [row for page in replay_pages(app.store, model, cut=app.store.head) for row in page]
    assert [(*row[:3], msgspec.json.decode(row[3], type=Till)) for row in rows] == [
        (stream, each.version, each.position, each.state) for stream, each in app.replay(Till)
    ]


def test_an_event_that_does_not_decode_is_named_with_its_place(app: Act) -> None:
    app.store.append("till-1", [Sold(1), ("Sold", b'{"amount": "much"}')])
    with pytest.raises(DecodeError, match=r"Sold.*field 'amount'.*version 2 of stream 'till-1', into Till") as caught:
        list(app.replay(Till))
    assert "much" not in str(caught.value)


def test_a_reducer_that_raises_is_told_of_with_its_place(app: Act) -> None:
    class Bad(State):
        @reducer
        def sold(self, event: Sold) -> None:
            raise ArithmeticError("no")

    app = Act(app.store, Bad)
    app.store.append("till-1", [Sold(1)])
    with pytest.raises(ArithmeticError, match="no") as caught:
        list(app.replay(Bad))
    assert caught.value.__notes__ == ["while folding Sold, version 1 of stream 'till-1', into Bad"]


def test_a_reducer_that_returns_something_is_refused(app: Act) -> None:
    class Bad(State):
        @reducer
        def sold(self, event: Sold) -> None:
            return 1  # type: ignore[return-value]

    app = Act(app.store, Bad)
    app.store.append("till-1", [Sold(1)])
    with pytest.raises(DefinitionError, match="returned something"):
        list(app.replay(Bad))


@pytest.mark.parametrize("unknown", ["warn", "skip", "raise"])
def test_unknown_events_meet_the_policy_of_the_app(app: Act, unknown: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = Act(app.store, Till, unknown=unknown)
    app.store.append("till-1", [Sold(1), ("Strange", b"{}"), ("Strange", b"{}"), Sold(2)])
    app.store.append("elsewhere", [("Foreign", b"{}")])
    caplog.set_level(logging.WARNING, "act_fast")
    if unknown == "raise":
        with pytest.raises(DecodeError, match="version 2 of stream 'till-1' is stored as 'Strange'"):
            list(app.replay(Till))
    else:
        ((stream, found),) = app.replay(Till)
        assert (stream, found.version, found.state.takings) == ("till-1", 4, 3)
    assert len(caplog.records) == (unknown == "warn")


@pytest.mark.usefixtures("small_groups")
def test_progress_never_goes_back_and_ends_where_all_is_done(app: Act, dice: random.Random) -> None:
    fill(app, dice)
    told: list[tuple[int, int]] = []
    list(app.replay(Till, progress=lambda done, total: told.append((done, total))))
    counts = app.store.names()
    assert told[-1] == (counts["Sold"], counts["Sold"])
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"at": -1}, "at must"),
        ({"at": datetime(2026, 1, 1)}, "timezone"),
        ({"streams": "("}, "not a regular expression"),
        ({"streams": 1}, "streams"),
        ({"after": "nowhere"}, "no stream"),
    ],
)
def test_what_cannot_be_meant_is_refused(app: Act, options: dict[str, Any], what: str) -> None:
    app.store.append("till-1", [Sold(1)])
    with pytest.raises(ValidationError, match=what):
        list(app.replay(Till, **options))


def test_a_state_of_another_app_is_refused_at_once(app: Act) -> None:
    class Other(State):
        pass

    with pytest.raises(DefinitionError, match="not a state of this app"):
        app.replay(Other)


def test_a_store_without_events_has_no_states(app: Act) -> None:
    assert list(app.replay(Till)) == []


def test_the_state_of_a_snapshot_is_the_callers_own(app: Act) -> None:
    app.store.append("till-1", [Sold(1)])
    ((_, first),) = app.replay(Till)
    first.state.takings = 99
    assert app.load(Till, "till-1").state.takings == 1


async def test_an_async_app_replays_as_well() -> None:
    async with AsyncAct("memory:", Till) as app:
        for number in range(250):
            app.sync.store.append(f"till-{number}", [Sold(number)])
        assert [each.state.takings async for _, each in app.replay(Till)] == list(range(250))


def test_a_narrow_replay_reads_the_streams_and_a_wide_one_the_log_and_both_agree(dice: random.Random) -> None:
    with LogStore.memory() as store:
        app = Act(store, Till, Shelf)
        fill(app, dice)
        one = {stream: shown(each) for stream, each in app.replay(Till, streams="^till-1$", at=250)}
        all_ = {stream: shown(each) for stream, each in app.replay(Till, at=250)}
        assert one == {"till-1": all_["till-1"]}


def test_many_processes_see_one_cut(open_store: Callable[..., LogStore]) -> None:
    first, second = open_store(), open_store()
    Act(first, Till).store.append("till-1", [Sold(1)])
    replay = Act(second, Till).replay(Till)
    first.append("till-1", [Sold(1)])
    assert [each.version for _, each in replay] == [1]
