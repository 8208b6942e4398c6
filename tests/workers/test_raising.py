"""Whatever comes out of a handler is a failure of that event: tried again, blocked in the end, and others go on."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from act_fast import Act, AsyncAct, Committed, Lane, LogStore
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit


class Gone(BaseException):
    """Derives from nothing that a program would catch."""


RAISED: list[Callable[[], BaseException]] = [
    Gone,
    asyncio.CancelledError,
    GeneratorExit,
    StopIteration,
    StopAsyncIteration,
    lambda: SystemExit(3),
    lambda: BaseExceptionGroup("both", [Gone(), ValueError()]),
    RecursionError,
    MemoryError,
]
NAMES = [type(make()).__name__ for make in RAISED]


def raising(make: Callable[[], BaseException]) -> Callable[[Committed[Any]], None]:
    def raises(event: Committed[Any]) -> None:
        raise make()

    return raises


def raising_later(make: Callable[[], BaseException]) -> Callable[[Committed[Any]], Coroutine[Any, Any, None]]:
    async def raises(event: Committed[Any]) -> None:
        await asyncio.sleep(0)
        raise make()

    return raises


def settled(app: Act, handler: Any, **options: Any) -> str:
    """The error that a target is blocked with, while another one beside it goes on."""
    other = Heard()
    app.on(Deposited, to="bad", name="bad", retries=1, backoff=0, **options)(handler)
    app.on(Deposited, to="good", name="good")(other)
    deposit(app, "a", "a")
    for _ in range(4):
        app.settle()
    assert other.positions == [1, 2]
    (blocked,) = app.blocked()
    assert (blocked.name, blocked.watermark) == ("bad", 0)
    return blocked.error


@pytest.mark.parametrize("make", RAISED, ids=NAMES)
def test_whatever_a_handler_raises_is_a_failure_of_its_event(app: Act, make: Callable[[], BaseException]) -> None:
    assert settled(app, raising(make)).startswith(type(make()).__name__)


@pytest.mark.parametrize("make", RAISED, ids=NAMES)
def test_whatever_an_async_handler_raises_is_a_failure_of_its_event(
    app: Act, make: Callable[[], BaseException]
) -> None:
    error = settled(app, raising_later(make))
    # Python itself makes another error of these when a coroutine raises them.
    assert error.startswith("RuntimeError" if isinstance(make(), StopIteration) else type(make()).__name__)


@pytest.mark.parametrize("make", RAISED, ids=NAMES)
def test_whatever_a_plain_handler_raises_beside_an_async_one_is_a_failure_of_its_event(
    app: Act, make: Callable[[], BaseException]
) -> None:
    async def waits(event: Committed[Any]) -> None: ...

    app.on(Deposited, to="bad")(waits)
    assert settled(app, raising(make)).startswith(type(make()).__name__)


@pytest.mark.parametrize("make", RAISED, ids=NAMES)
def test_whatever_defer_raises_is_a_failure_of_its_event(app: Act, make: Callable[[], BaseException]) -> None:
    error = settled(app, raising(ValueError), defer=raising(make))
    assert error.startswith(
        "RuntimeError" if isinstance(make(), GeneratorExit | StopIteration) else type(make()).__name__
    )


@pytest.mark.parametrize("make", [Gone, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_worker_goes_on_whatever_is_raised_on_its_threads(
    make: Callable[[], BaseException], asynchronous: bool
) -> None:
    """Ctrl-C comes to the main thread, so elsewhere it is an exception like any other."""
    other, seen = Heard(), threading.Event()
    with Act("memory:", Account) as app:
        handler: Any = raising_later(make) if asynchronous else raising(make)
        app.on(Deposited, to="bad", name="bad", retries=0)(handler)
        app.on(Deposited, to="good", name="good")(other)
        app.observe("blocked", lambda blocked: seen.set())
        runner = threading.Thread(target=app.run, daemon=True)
        runner.start()
        deposit(app, "a")
        assert seen.wait(30)
        deposit(app, "a")
        other.await_count(2)
        app.stop()
        runner.join(30)
        assert not runner.is_alive()


def test_ctrl_c_in_a_handler_on_the_main_thread_ends_settle_and_nothing_is_lost(app: Act) -> None:
    heard, interrupts = Heard(), [KeyboardInterrupt()]

    @app.on(Deposited, to="q")
    def handler(event: Committed[Deposited]) -> None:
        if interrupts:
            raise interrupts.pop()
        heard(event)

    deposit(app, "a")
    with pytest.raises(KeyboardInterrupt):
        app.settle()
    app.settle()
    assert heard.positions == [1]


@pytest.mark.parametrize("awaits", [True, False])
def test_a_handler_that_cancels_its_own_task_fails_and_the_next_event_does_not(awaits: bool) -> None:
    heard: list[int] = []

    async def cancels(event: Committed[Deposited]) -> None:
        task = asyncio.current_task()
        assert task is not None
        if event.position == 1:
            task.cancel()
        if awaits:
            await asyncio.sleep(0)
        heard.append(event.position)

    with Act("memory:", Account) as app:
        app.on(Deposited, to="q", name="q", retries=1, backoff=0)(cancels)
        app.on(Deposited, to="{stream}", name="other", retries=0)(cancels)
        deposit(app, "a", "b")
        for _ in range(4):
            app.settle()
        blocked = {target.name: target.error for target in app.blocked()}
        assert set(blocked) == {"q", "a"}
        assert all("CancelledError" in error for error in blocked.values())
        assert 2 in heard
        app.unblock()
        assert app.settle().drained.lost == 0


def test_a_handler_that_cancels_itself_by_a_task_of_its_own_fails(app: Act) -> None:
    async def cancels(event: Committed[Deposited]) -> None:
        own = asyncio.current_task()
        assert own is not None

        async def cancel() -> None:
            own.cancel()

        helper = asyncio.create_task(cancel())
        await asyncio.sleep(30)
        await helper

    assert "CancelledError" in settled(app, cancels)


def test_a_handler_cannot_stop_the_loop_that_others_run_on(app: Act) -> None:
    async def stops(event: Committed[Deposited]) -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)

    assert "cannot stop the event loop" in settled(app, stops)


def test_a_task_that_a_handler_leaves_behind_does_not_end_the_loop(app: Act) -> None:
    left: list[asyncio.Task[None]] = []
    heard: list[int] = []

    async def exits() -> None:
        raise SystemExit(3)

    async def leaves(event: Committed[Deposited]) -> None:
        if not left:
            left.append(asyncio.create_task(exits()))
            await asyncio.sleep(0.01)
        heard.append(event.position)

    app.on(Deposited, to="q")(leaves)
    deposit(app, "a", "a")
    app.settle()
    assert heard == [1, 2]
    assert isinstance(left[0].exception(), SystemExit)


async def test_the_same_holds_on_a_loop_of_the_users_own() -> None:
    heard: list[int] = []

    async def cancels(event: Committed[Deposited], app: AsyncAct) -> None:
        task = asyncio.current_task()
        assert task is not None
        if event.stream == "a":
            task.cancel()
        await asyncio.sleep(0)
        heard.append(event.position)

    async with AsyncAct("memory:", Account) as app:
        app.on(Deposited, name="q", retries=0)(cancels)
        await app.do(Account.deposit, "a", amount=1)
        await app.do(Account.deposit, "b", amount=1)
        await app.settle()
        assert heard == [2]
        assert ["CancelledError" in target.error async for target in app.blocked()] == [True]


@pytest.mark.parametrize("make", [Gone, asyncio.CancelledError, StopIteration, lambda: SystemExit(3), GeneratorExit])
def test_whatever_an_upcaster_raises_blocks_the_event_and_nothing_else(make: Callable[[], BaseException]) -> None:
    from act_fast import Event, State, upcast

    class Noted(Event, name="Noted_v2"):
        text: str

        @upcast(from_="Noted")
        @staticmethod
        def from_first(old: dict[str, Any]) -> dict[str, Any]:
            raise make()

    class Notes(State, events=[Noted]):
        text: str = ""

    heard = Heard()
    with LogStore.memory() as store, Act(store, Notes, lanes=[Lane("other")]) as app:
        app.on(Noted, name="noted")(heard)
        store.append("old", [("Noted", b'{"text":"a"}')])
        store.append("new", [Noted("b")])
        app.settle()
        assert heard.places == [("new", 1)]
        assert ["does not decode" in target.error for target in app.blocked()] == [True]
