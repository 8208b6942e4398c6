"""A restore makes another log of a store: what was begun on the old one ends with one clear error, or begins again."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from act_fast import (
    Act,
    Committed,
    Event,
    LogStore,
    Meta,
    RestoreError,
    State,
    StoreClosedError,
    action,
    connect,
    reducer,
)
from tests.support.heard import PATIENCE_SECONDS, Heard
from tests.support.processes import asleep, needs_proc, until


class Increased(Event):
    by: int


class Counter(State):
    count: int = 0

    @reducer
    def increased(self, event: Increased) -> None:
        self.count += event.by

    @action(retries=0)
    def increase(self, by: int = 1) -> Increased:
        return Increased(by)


class Stored(Counter, name="Counter", snapshot_every=1):
    """A counter whose every state is stored."""


class Wrapped(LogStore):
    """A store of one's own, made of ours."""


def export(path: Path, count: int, by: int, stream: str = "c") -> Path:
    """A log of so many events."""
    rows = ({"stream": stream, "name": "Increased", "data": {"by": by}} for _ in range(count))
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture(params=[LogStore, Wrapped])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogStore]:
    found = request.param(tmp_path / "store.act", durability="os")
    yield found
    found.close()


@pytest.fixture
def app(store: LogStore) -> Iterator[Act]:
    with Act(store, Counter) as app:
        yield app


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("how", ["app", "store", "other"])
def test_what_was_cached_is_of_the_log_that_was(
    app: Act, store: LogStore, tmp_path: Path, how: str, count: int
) -> None:
    """The restored stream is as long as the old one was, shorter or longer: only its events tell them apart."""
    for _ in range(3):
        app.do(Counter.increase, "c")
    source = export(tmp_path / "x.jsonl", count, 100)
    with Act(store, Counter) as other:
        {"app": app, "store": store, "other": other}[how].restore(source, replace=True)
        assert app.load(Counter, "c").state.count == 100 * count
        assert app.do(Counter.increase, "c").state.count == 100 * count + 1
        assert other.load(Counter, "c").state.count == 100 * count + 1
    assert [state.state.count for state in app.history(Counter, "c")][-1] == 100 * count + 1
    assert [snapshot.state.count for _, snapshot in app.replay(Counter)] == [100 * count + 1]
    app.close_stream(Counter, "c")
    assert app.load(Counter, "c").state.count == 100 * count + 1


@pytest.mark.parametrize("kind", [LogStore, Wrapped])
def test_nothing_is_appended_that_was_decided_on_the_log_that_was(tmp_path: Path, kind: type[LogStore]) -> None:
    """The log is replaced in the middle of an action; the stream is as long in both."""
    store = kind(tmp_path / "store.act", durability="os")
    source = export(tmp_path / "x.jsonl", 2, 100)
    seen: list[int] = []

    class Watching(Counter, name="Counter"):
        @action(retries=0)
        def double(self) -> Increased:
            seen.append(self.count)
            if len(seen) == 1:
                store.restore(source, replace=True)
            return Increased(self.count)

    with closing(store), Act(store, Watching) as app:
        app.do(Watching.increase, "c")
        app.do(Watching.increase, "c")
        assert app.do(Watching.double, "c").state.count == 400
        assert seen == [2, 200]
        assert [json.loads(each.data)["by"] for each in store.load("c")] == [100, 100, 200]


def test_what_is_decided_again_after_a_conflict_is_decided_on_the_log_that_is_there(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "store.act", durability="os")
    source = export(tmp_path / "x.jsonl", 2, 100)
    seen: list[int] = []

    class Watching(Counter, name="Counter"):
        @action(retries=1)
        def double(self) -> Increased:
            seen.append(self.count)
            if len(seen) == 1:
                store.append("c", [Increased(1)])
            if len(seen) == 2:
                store.restore(source, replace=True)
            return Increased(self.count)

    with closing(store), Act(store, Watching) as app:
        app.do(Watching.increase, "c")
        assert app.do(Watching.double, "c").state.count == 400
        assert seen == [1, 2, 200]
        assert [json.loads(each.data)["by"] for each in store.load("c")] == [100, 100, 200]


def test_a_version_that_the_caller_expects_is_one_of_the_log_that_was(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "store.act", durability="os")
    source = export(tmp_path / "x.jsonl", 1, 100)

    class Watching(Counter, name="Counter"):
        @action
        def replace(self) -> Increased:
            store.restore(source, replace=True)
            return Increased(1)

    with closing(store), Act(store, Watching) as app:
        app.do(Watching.increase, "c")
        with pytest.raises(StoreClosedError, match="replaced by a restored or rewritten one"):
            app.expecting(1).do(Watching.replace, "c")
        assert store.head == 1


@pytest.mark.parametrize("kind", [LogStore, Wrapped])
def test_a_snapshot_of_the_log_that_was_is_not_stored_in_the_new_one(tmp_path: Path, kind: type[LogStore]) -> None:
    store = kind(tmp_path / "store.act", durability="os")
    source = export(tmp_path / "x.jsonl", 5, 100)

    class Watching(Counter, name="Counter", snapshot_when=lambda snapshot: restored(snapshot.version)): ...

    def restored(version: int) -> bool:
        if version == 3:
            store.restore(source, replace=True)
        return version == 3

    with closing(store), Act(store, Watching) as app:
        for _ in range(3):
            app.do(Watching.increase, "c")
        assert store.latest_snapshot("c") is None
        assert app.load(Watching, "c").state.count == 500


def test_what_a_snapshot_points_to_is_in_the_log_that_was(app: Act, store: LogStore, tmp_path: Path) -> None:
    app.do(Counter.increase, "c")
    snapshot = app.do(Counter.increase, "c")
    store.restore(export(tmp_path / "x.jsonl", 2, 100), replace=True)
    for ask in (lambda: snapshot.event, lambda: snapshot.events, lambda: snapshot.meta):
        with pytest.raises(StoreClosedError, match="replaced by a restored or rewritten one"):
            ask()
    assert snapshot.state.count == 2


READERS: dict[str, Callable[[Act, LogStore], Iterator[Any]]] = {
    "load": lambda app, store: store.load("c"),
    "streams": lambda app, store: store.streams(),
    "query": lambda app, store: store.query(),
    "backwards": lambda app, store: store.query(backwards=True),
    "app.query": lambda app, store: app.query(events=[Increased]),
    "history": lambda app, store: app.history(Counter, "c"),
    "replay": lambda app, store: app.replay(Counter),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("begun", [True, False])
def test_a_reader_does_not_go_on_in_another_log(tmp_path: Path, reader: str, begun: bool) -> None:
    with LogStore(tmp_path / "store.act", durability="os") as store, Act(store, Counter) as app:
        for number in range(1200):
            store.append("c", [Increased(1)])
            store.append(f"s-{number}", [Increased(1)])
        found = READERS[reader](app, store)
        if begun:
            next(found)
        store.restore(export(tmp_path / "x.jsonl", 3000, 100), replace=True)
        with pytest.raises(StoreClosedError, match="replaced by a restored or rewritten one"):
            list(found)
        assert len(list(READERS[reader](app, store)))


@needs_proc
def test_those_who_wait_for_news_of_the_old_log_are_told(app: Act, store: LogStore, tmp_path: Path) -> None:
    for _ in range(5):
        app.do(Counter.increase, "c")
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            store.wait(5)
        except StoreClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: asleep(thread))
    store.restore(export(tmp_path / "x.jsonl", 1, 100), replace=True)
    thread.join(PATIENCE_SECONDS)
    assert len(errors) == 1
    assert store.wait(0) == 1


async def test_tasks_hear_of_the_new_log_what_they_ask(tmp_path: Path) -> None:
    with LogStore(tmp_path / "store.act", durability="os") as store:
        for _ in range(5):
            store.append("c", [Increased(1)])
        assert await store.wait_async(4) == 5
        assert await store.wait_async(5, timeout=0.01) == 5
        store.restore(export(tmp_path / "x.jsonl", 1, 100), replace=True)
        assert await store.wait_async(0) == 1
        store.append("c", [Increased(1)])
        assert await store.wait_async(1) == 2


# Reactions.


def test_the_reactions_of_another_app_begin_again(store: LogStore, tmp_path: Path) -> None:
    one, two = Heard(), Heard()
    with Act(store, Counter) as first, Act(store, Counter) as second:
        first.on(Increased, name="one")(one)
        second.on(Increased, name="two")(two)
        for _ in range(3):
            first.do(Counter.increase, "c")
        first.settle()
        second.settle()
        first.restore(export(tmp_path / "x.jsonl", 2, 100), replace=True)
        second.settle()
        first.settle()
        assert [event.data.by for event in one.events] == [1, 1, 1, 100, 100]
        assert [event.data.by for event in two.events] == [1, 1, 1, 100, 100]
        assert {target.watermark for target in second.targets()} == {2}


def test_what_is_handled_while_the_log_is_replaced_is_not_acknowledged_in_the_new_one(
    store: LogStore, tmp_path: Path
) -> None:
    heard: list[int] = []
    with Act(store, Counter) as app, Act(store, Counter) as other:

        @app.on(Increased, name="mail", to="mail")
        def mail(event: Committed[Increased]) -> None:
            heard.append(event.data.by)
            if len(heard) == 2:
                other.restore(source, replace=True)

        source = export(tmp_path / "x.jsonl", 3, 100)
        for _ in range(3):
            app.do(Counter.increase, "c")
        with pytest.raises(StoreClosedError, match="replaced by a restored or rewritten one"):
            app.settle()
        (before,) = [*app.targets()] or [None]
        assert before is None or before.watermark == 0
        assert app.settle().drained.handled == 3
        assert heard[-3:] == [100, 100, 100]


def test_a_worker_goes_on_in_the_new_log(store: LogStore, tmp_path: Path) -> None:
    heard = Heard()
    with Act(store, Counter) as app, Act(store, Counter) as other:
        app.on(Increased, name="mail", to="mail")(heard)
        worker = threading.Thread(target=app.run)
        worker.start()
        other.do(Counter.increase, "c")
        heard.await_count(1)
        other.restore(export(tmp_path / "x.jsonl", 2, 100), replace=True)
        heard.await_count(3)
        other.do(Counter.increase, "c")
        heard.await_count(4)
        app.stop()
        worker.join(PATIENCE_SECONDS)
        assert not worker.is_alive()
        assert [event.data.by for event in heard.events] == [1, 100, 100, 1]


def test_a_restore_that_fails_leaves_everything_as_it_was(app: Act, store: LogStore, tmp_path: Path) -> None:
    heard = Heard()
    app.on(Increased, name="mail")(heard)
    app.do(Counter.increase, "c")
    app.settle()
    (tmp_path / "x.jsonl").write_text("hello\n")
    with Act(store, Counter) as other:
        with pytest.raises(RestoreError):
            other.restore(tmp_path / "x.jsonl", replace=True)
        assert app.do(Counter.increase, "c").state.count == 2
        assert other.load(Counter, "c").state.count == 2
    app.settle()
    assert heard.positions == [1, 2]


def test_meanwhile_it_is_said_that_the_log_is_being_replaced(app: Act, store: LogStore, tmp_path: Path) -> None:
    app.do(Counter.increase, "c")
    source = export(tmp_path / "x.jsonl", 20_000, 1)
    met: list[BaseException] = []

    def progress(done: int, total: int) -> None:
        if not met:
            for ask in (
                lambda: app.do(Counter.increase, "c"),
                lambda: app.load(Counter, "c"),
                lambda: store.append("c", [("Increased", b"{}")], meta=Meta()),
                lambda: store.restore(source, replace=True),
                app.settle,
            ):
                with pytest.raises(StoreClosedError, match="being replaced by a restored or rewritten one") as error:
                    ask()
                met.append(error.value)
            assert not store.closed

    store.restore(source, progress=progress, replace=True)
    assert len(met) == 5
    assert app.do(Counter.increase, "c").state.count == 20_001


# SQL.


def test_sql_is_about_one_log(tmp_path: Path) -> None:
    with LogStore(tmp_path / "store.act", durability="os") as store, Act(store, Counter) as app, connect(app) as asked:
        app.do(Counter.increase, "c")
        asked.refresh()
        assert asked.sql('select sum("by") from increased').fetchall() == [(1,)]
        store.restore(export(tmp_path / "x.jsonl", 2, 100), replace=True)
        with pytest.raises((StoreClosedError, duckdb.Error), match="replaced by a restored or rewritten one"):
            asked.sql('select sum("by") from increased').fetchall()
        assert asked.refresh() == 2
        assert asked.sql('select sum("by") from increased').fetchall() == [(200,)]
        assert app.sql("select count from counter").fetchall() == [(200,)]
