"""The verbs of timers and of tests, as `AsyncAct` has them."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from act_fast._app.reaction_verbs import CONCURRENCY
from act_fast._app.testing_verbs import Testing
from act_fast._app.timer_verbs import Later
from act_fast._reactions.reports import Settled
from act_fast._states.action import Action
from act_fast._states.state import State
from act_fast._timers.timer import Timer
from act_fast._workers.host import Host

if TYPE_CHECKING:
    from act_fast._app.act import Act
    from act_fast._runtime.executor import Threads

__all__ = ["AsyncLater", "AsyncSchedules", "AsyncTesting"]

S = TypeVar("S", bound=State)
P = ParamSpec("P")
T = TypeVar("T")


class AsyncSchedules:
    """The verbs of timers, on threads."""

    _app: "Act"
    _threads: "Threads"
    _long: "Threads"

    def schedule(
        self,
        *,
        at: datetime | None = None,
        after: timedelta | None = None,
        key: str | None = None,
        replace: bool = False,
    ) -> "AsyncLater":
        """`Act.schedule`; what it returns is awaited: `await app.schedule(after=...).do(Order.expire, "order-7")`."""
        return AsyncLater(self._app.schedule(at=at, after=after, key=key, replace=replace), self._threads)

    async def cancel(self, key: str) -> bool:
        """`Act.cancel`, awaited."""
        return await self._threads.run(self._app.cancel, key)

    async def timer(self, key: str) -> Timer | None:
        """`Act.timer`, awaited."""
        return await self._threads.run(self._app.timer, key)

    def timers(self, *, status: Literal["waiting", "done", "cancelled"] | None = None) -> AsyncIterator[Timer]:
        """`Act.timers`, for `async for`."""
        return self._begun(lambda: self._app.timers(status=status))

    @property
    def testing(self) -> "AsyncTesting":
        """`Act.testing`, with its verb awaited."""
        return AsyncTesting(self)

    def _host(self) -> Host:
        raise NotImplementedError

    def _begun(self, begin: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        raise NotImplementedError


class AsyncLater:
    """What `AsyncAct.schedule` returns: does actions later."""

    def __init__(self, later: Later, threads: "Threads") -> None:
        self._later = later
        self._threads = threads

    async def do(self, action: Action[S, P, Any], stream: str, /, *args: P.args, **kwargs: P.kwargs) -> Timer:
        """`Later.do`, awaited."""
        return await self._threads.run(self._later.do, action, stream, *args, **kwargs)


class AsyncTesting:
    """`Testing`, with its verb awaited."""

    def __init__(self, app: AsyncSchedules) -> None:
        self._app = app

    @property
    def now(self) -> datetime:
        """What time it is there, in UTC."""
        return self._app._app.testing.now

    async def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, settle: bool = True
    ) -> Settled:
        """`Testing.advance`, awaited. Handlers that are `async def` run as tasks of this event loop."""
        app, host = self._app._app, self._app._host()
        testing = Testing(app._program, lambda: app._settle(host, None, None, CONCURRENCY))

        def advance() -> Settled:
            return testing.advance(days=days, hours=hours, minutes=minutes, seconds=seconds, settle=settle)

        return await self._app._long.run(advance)
