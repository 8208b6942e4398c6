"""The verbs that keep less, as `AsyncAct` has them: those of the `Act` inside, awaited."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from act_fast._app.retiring import Retired
from act_fast._rows import Progress
from act_fast._states.snapshot import Snapshot
from act_fast._states.state import State
from act_fast.stores.values import Pruned, Redacted

if TYPE_CHECKING:
    from act_fast._app.act import Act
    from act_fast._runtime.executor import Threads

__all__ = ["AsyncKeeps"]

S = TypeVar("S", bound=State)


class AsyncKeeps:
    """The verbs; those that rewrite the log on threads of their own, as they take long."""

    _app: "Act"
    _threads: "Threads"
    _long: "Threads"

    async def close_stream(self, state: type[S], stream: str) -> Snapshot[S]:
        """`Act.close_stream`, awaited."""
        return await self._threads.run(self._app.close_stream, state, stream)

    async def restart_stream(
        self, state: type[S], stream: str, *, carry: Callable[[S], S] | None = None
    ) -> Snapshot[S]:
        """`Act.restart_stream`, awaited. `carry` is called on another thread."""
        return await self._threads.run(self._app.restart_stream, state, stream, carry=carry)

    async def retire(self, *, at: datetime | None = None, dry_run: bool = False) -> Retired:
        """`Act.retire`, awaited."""
        return await self._long.run(self._app.retire, at=at, dry_run=dry_run)

    async def redact(
        self,
        positions: Iterable[int],
        *,
        reason: str,
        fields: Mapping[str, Any] | None = None,
        drop: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Redacted:
        """`Act.redact`, awaited. `progress` is called on another thread."""
        return await self._long.run(
            self._app.redact, positions, reason=reason, fields=fields, drop=drop, dry_run=dry_run, progress=progress
        )

    async def prune(
        self,
        *,
        streams: str | None = None,
        upto: int | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Pruned:
        """`Act.prune`, awaited. `progress` is called on another thread."""
        return await self._long.run(self._app.prune, streams=streams, upto=upto, dry_run=dry_run, progress=progress)
