"""What an app holds on to, and when it lets go: closed, dropped, or inherited by a forked child."""

import asyncio
import fcntl
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from act_fast import Act, AsyncAct, Committed, Event, LogStore, State, action, reducer
from act_fast.errors import StoreClosedError
from tests.support.processes import Tell, needs_proc, open_below, run, until


class Added(Event):
    amount: int


class Tally(State):
    total: int = 0

    @reducer
    def _(self, event: Added) -> None:
        self.total += event.amount

    @action
    def add(self, amount: int) -> Added:
        return Added(amount=amount)


def ours() -> set[threading.Thread]:
    """Our threads. Those that earlier tests have left end when they have been idle for a while."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("act-fast")}


def use(path: Path) -> None:
    """Make an app, have all that it can have going, and drop it."""
    app = Act(path, Tally)
    heard: list[int] = []

    @app.on(Added, to="sync")
    def note(event: Committed[Added]) -> None:
        heard.append(event.position)

    @app.on(Added, to="async")
    async def note_later(event: Committed[Added], app: AsyncAct) -> None:
        await app.load(Tally, "a")
        heard.append(event.position)

    app.do(Tally.add, "a", amount=1)
    app.settle()
    assert heard == [1, 1]
    app.sql("select count(*) from added").fetchall()
    asyncio.run(app.store.wait_async(1, timeout=0.01))  # type: ignore[attr-defined]


@needs_proc
def test_a_store_in_memory_that_is_closed_has_no_memory_while_something_still_refers_to_it() -> None:
    def alone(tell: Tell) -> None:
        """In a process without the threads of earlier tests, which could let go of theirs in the middle of this one."""
        before = open_below(Path("/memfd:"))
        store = LogStore.memory()
        app = Act(store, Tally)

        @app.on(Added)
        def fail(event: Committed[Added]) -> None:
            raise ValueError

        app.do(Tally.add, "a", amount=1)
        app.settle()
        assert open_below(Path("/memfd:")) > before
        app.close()
        store.close()
        gc.collect()
        assert open_below(Path("/memfd:")) == before

    run(alone)


@needs_proc
def test_apps_that_are_dropped_without_being_closed_let_go_of_everything(tmp_path: Path) -> None:
    gc.collect()
    before = ours()
    for number in range(3):
        use(tmp_path / f"{number}.act")

    def gone() -> bool:
        gc.collect()
        return open_below(tmp_path) == 0 and ours() <= before

    until(gone)


@needs_proc
def test_async_apps_that_are_dropped_let_go_of_everything(tmp_path: Path) -> None:
    gc.collect()
    before = ours()

    async def main() -> None:
        app = AsyncAct(tmp_path / "a.act", Tally)
        await app.do(Tally.add, "a", amount=1)

        @app.on(Added, to="t")
        async def note(event: Committed[Added]) -> None:
            pass

        await app.settle()

    asyncio.run(main())

    def gone() -> bool:
        gc.collect()
        return open_below(tmp_path) == 0 and ours() <= before

    until(gone)


def test_a_closed_app_has_no_threads_left_not_even_those_of_the_app_that_async_handlers_are_given(
    store_path: Path,
) -> None:
    before = ours()
    given: list[AsyncAct] = []
    with Act(store_path, Tally) as app:

        @app.on(Added, to="t")
        async def note(event: Committed[Added], app: AsyncAct) -> None:
            given.append(app)
            await app.load(Tally, "a")

        app.do(Tally.add, "a", amount=1)
        app.settle()
        assert given
    assert ours() <= before
    with pytest.raises(StoreClosedError):
        asyncio.run(given[0].load(Tally, "a"))


@contextmanager
def worker(app: Act) -> Iterator[None]:
    """A worker at work in a thread, in the middle of an event."""
    entered, go_on = threading.Event(), threading.Event()

    @app.on(Added, to="slow")
    def slow(event: Committed[Added]) -> None:
        entered.set()
        go_on.wait()

    app.do(Tally.add, "a", amount=1)
    thread = threading.Thread(target=app.run)
    thread.start()
    assert entered.wait(60)
    try:
        yield
    finally:
        go_on.set()
        app.stop()
        thread.join()


@contextmanager
def async_worker(app: Act) -> Iterator[None]:
    """A worker that awaits, in the middle of an event, on a loop of its own thread."""
    entered, go_on = threading.Event(), threading.Event()

    @app.on(Added, to="slow")
    async def slow(event: Committed[Added]) -> None:
        entered.set()
        while not go_on.is_set():
            await asyncio.sleep(0.01)

    app.do(Tally.add, "a", amount=1)
    thread = threading.Thread(target=lambda: asyncio.run(AsyncAct(app).run()))
    thread.start()
    assert entered.wait(60)
    try:
        yield
    finally:
        go_on.set()
        app.stop()
        thread.join()


@contextmanager
def waiter(app: Act) -> Iterator[None]:
    """One thread waits for a position, another one for a target."""
    threads = [
        threading.Thread(target=lambda: app.store.wait(app.store.head)),  # type: ignore[attr-defined]
        threading.Thread(target=lambda: asyncio.run(app.store.wait_async(app.store.head))),  # type: ignore[attr-defined]
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for _ in range(2):  # whichever head they saw
            app.do(Tally.add, "a", amount=1)
        for thread in threads:
            thread.join()


@contextmanager
def busy_locks(app: Act) -> Iterator[None]:
    """Every lock of the app is held by another thread at the moment of the fork."""
    app.settle()
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        program, engine = app._program, app._engine
        with program._lock, program._correlating, engine.cache._lock, program._loop._lock:
            locked.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(60)
    try:
        yield
    finally:
        release.set()
        thread.join()


@pytest.mark.parametrize("going_on", [worker, async_worker, waiter, busy_locks])
def test_a_child_closes_what_it_inherited_whatever_was_going_on(
    store_path: Path, going_on: Callable[[Act], "contextmanager[None]"]
) -> None:
    with Act(store_path, Tally) as app:

        def close(tell: Tell) -> None:
            with pytest.raises(StoreClosedError):
                app.do(Tally.add, "a", amount=1)
            with pytest.raises(StoreClosedError):
                app.settle()
            app.stop()
            app.close()
            app.close()
            with app:
                pass
            asyncio.run(AsyncAct(app).close())

        def open_its_own(tell: Tell) -> None:
            with Act(store_path, Tally) as own:
                own.do(Tally.add, "child", amount=1)

        with going_on(app):
            run(close)
            run(open_its_own)
        assert app.do(Tally.add, "b", amount=1).version == 1
        assert app.load(Tally, "child").state.total == 1


def test_opening_and_closing_an_async_app_holds_up_no_loop(store_path: Path) -> None:
    async def main() -> None:
        app = await AsyncAct.open(store_path, Tally)
        await app.do(Tally.add, "a", amount=1)
        for work in (app.close, lambda: AsyncAct.open(store_path, Tally)):
            with (store_path / "locks" / "opening").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                working = asyncio.ensure_future(work())
                for _ in range(100):  # were the loop held up, it would never come here
                    await asyncio.sleep(0)
                done, _ = await asyncio.wait((working,), timeout=0.05)
                assert not done
            opened = await working
        assert isinstance(opened, AsyncAct)
        assert (await opened.load(Tally, "a")).state.total == 1
        await opened.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_cancelling_while_an_async_app_is_opened_leaves_nothing_open(store_path: Path) -> None:
    Act(store_path, Tally).close()

    async def main() -> None:
        with (store_path / "locks" / "opening").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            opening = asyncio.ensure_future(AsyncAct.open(store_path, Tally))
            while open_below(store_path) < 2:  # this lock, and what is being opened
                await asyncio.sleep(0)
            opening.cancel()
            for _ in range(100):
                await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert open_below(store_path) == 0

    gc.disable()  # nothing is let go of by chance
    try:
        asyncio.run(asyncio.wait_for(main(), 60))
    finally:
        gc.enable()
