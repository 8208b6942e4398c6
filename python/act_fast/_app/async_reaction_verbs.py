"""The verbs of reactions, as `AsyncAct` has them: those of the `Act` inside, awaited."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from act_fast._app.reaction_verbs import CONCURRENCY, Targeted
from act_fast._projections.projection import Projection
from act_fast._reactions.on import Declares
from act_fast._reactions.reaction import Reaction
from act_fast._reactions.reports import Correlation, Drained, Ran, Settled
from act_fast._reactions.skipped import Skipped
from act_fast._reactions.targets import Cursor, Names, Target
from act_fast._rows import Progress
from act_fast._states.snapshot import Snapshot
from act_fast._workers.host import Host
from act_fast._workers.report_start import report_start
from act_fast._workers.worker import Worker

if TYPE_CHECKING:
    from act_fast._app.act import Act
    from act_fast._runtime.executor import Threads

__all__ = ["AsyncReacts"]

T = TypeVar("T")


class AsyncReacts(Declares):
    """The verbs, on threads of their own: they must not wait for those that their handlers need."""

    _app: "Act"
    _long: "Threads"

    def _declare(self, reaction: Reaction) -> None:
        self._app._declare(reaction)

    async def correlate(self, limit: int | None = None) -> Correlation:
        """`Act.correlate`, awaited."""
        return await self._long.run(self._app.correlate, limit)

    async def drain(
        self, limit: int | None = None, *, lanes: Sequence[str] | None = None, concurrency: int = CONCURRENCY
    ) -> Drained:
        """`Act.drain`, awaited. Handlers that are `async def` run as tasks of this event loop."""
        return await self._long.run(self._app._drain, self._host(), limit, lanes, concurrency)

    async def settle(
        self,
        passes: int | None = None,
        *,
        lanes: Sequence[str] | None = None,
        concurrency: int = CONCURRENCY,
        raises: bool | None = None,
    ) -> Settled:
        """`Act.settle`, awaited. Handlers that are `async def` run as tasks of this event loop."""
        return await self._long.run(self._app._settle, self._host(), passes, lanes, concurrency, raises)

    async def run(
        self, *, lanes: Sequence[str] | None = None, concurrency: int = CONCURRENCY, grace: float = 10.0
    ) -> Ran:
        """`Act.run`, awaited. Cancelling it has the same effect as `stop`: it ends gracefully first.

        Handlers that are `async def` run as tasks of this event loop.
        """
        worker = self._app._worker(self._host(), lanes, concurrency, grace)
        await self._long.run(report_start, self._app._program)
        return await self._run(worker)

    async def _run(self, worker: Worker) -> Ran:
        working = asyncio.ensure_future(self._long.run(worker.run))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            worker.stop()
            await asyncio.wait((working,))
            raise

    def stop(self) -> None:
        """`Act.stop`."""
        self._app.stop()

    async def wait_for(
        self, moment: int | Snapshot[Any], target: str | Targeted, timeout: float | None = None
    ) -> Target:
        """`Act.wait_for`, awaited."""
        return await self._long.run(self._app.wait_for, moment, target, timeout)

    def targets(
        self,
        names: Names | None = None,
        *,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Target]:
        """`Act.targets`, for `async for`."""
        return self._begun(
            lambda: self._app.targets(names, pattern=pattern, lane=lane, blocked=blocked, after=after, limit=limit)
        )

    def blocked(self) -> AsyncIterator[Target]:
        """`Act.blocked`, for `async for`."""
        return self._begun(self._app.blocked)

    async def cursors(self) -> list[Cursor]:
        """`Act.cursors`, awaited."""
        return await self._long.run(self._app.cursors)

    async def reset(
        self,
        names: Names | None = None,
        *,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        to: int | datetime | None = None,
    ) -> int:
        """`Act.reset`, awaited."""
        return await self._long.run(self._app.reset, names, pattern=pattern, lane=lane, blocked=blocked, to=to)

    async def skip(
        self, target: str | Targeted, position: int | None = None, *, reaction: str | None = None, reason: str
    ) -> Skipped:
        """`Act.skip`, awaited."""
        return await self._long.run(self._app.skip, target, position, reaction=reaction, reason=reason)

    def skipped(self, target: str | Targeted | None = None) -> AsyncIterator[Skipped]:
        """`Act.skipped`, for `async for`."""
        return self._begun(lambda: self._app.skipped(target))

    @property
    def replaying(self) -> bool:
        """`Act.replaying`."""
        return self._app.replaying

    async def forget_reaction(self, reaction: str) -> bool:
        """`Act.forget_reaction`, awaited."""
        return await self._long.run(self._app.forget_reaction, reaction)

    async def rebuild(
        self, projection: Projection | str, *, resume: bool = True, progress: Progress | None = None
    ) -> int:
        """`Act.rebuild`, awaited. `progress` is called on the thread that does the work."""
        return await self._long.run(self._app.rebuild, projection, resume=resume, progress=progress)

    async def unblock(self, names: Names | None = None, *, pattern: str | None = None, lane: str | None = None) -> int:
        """`Act.unblock`, awaited."""
        return await self._long.run(self._app.unblock, names, pattern=pattern, lane=lane)

    async def block(
        self,
        names: Names | None = None,
        *,
        pattern: str | None = None,
        lane: str | None = None,
        error: str = "blocked by hand",
    ) -> int:
        """`Act.block`, awaited."""
        return await self._long.run(self._app.block, names, pattern=pattern, lane=lane, error=error)

    async def defer(
        self, names: Names | None = None, *, until: datetime, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """`Act.defer`, awaited."""
        return await self._long.run(self._app.defer, names, until=until, pattern=pattern, lane=lane)

    async def prioritize(
        self, names: Names | None = None, priority: int = 0, *, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """`Act.prioritize`, awaited."""
        return await self._long.run(self._app.prioritize, names, priority, pattern=pattern, lane=lane)

    def _host(self) -> Host:
        raise NotImplementedError

    def _each(self, found: Iterator[T]) -> AsyncIterator[T]:
        raise NotImplementedError

    async def _begun(self, begin: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        async for each in self._each(await self._long.run(begin)):
            yield each
