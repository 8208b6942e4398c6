"""The verbs that copy whole logs out and in, as `AsyncAct` has them: those of the `Act` inside, awaited."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Unpack

from act_fast._core import Columns
from act_fast._events.event import Event
from act_fast._rows import Progress
from act_fast.stores.conditions import Conditions, spelled_out
from act_fast.stores.values import Archived, Backup, Compressed, Compression, Exported, Restored

if TYPE_CHECKING:
    from polars import LazyFrame

    from act_fast._app.act import Act
    from act_fast._runtime.executor import Threads

__all__ = ["AsyncExchanges"]


class AsyncExchanges:
    """The verbs, on threads of their own: they take long."""

    _app: "Act"
    _long: "Threads"

    async def backup(
        self, path: str | os.PathLike[str], *, whole: bool = False, progress: Progress | None = None
    ) -> Backup:
        """`Act.backup`, awaited. `progress` is called on another thread."""
        return await self._long.run(self._app.backup, path, whole=whole, progress=progress)

    async def compress(
        self, *, seal: bool = False, dry_run: bool = False, progress: Progress | None = None
    ) -> Compressed:
        """`Act.compress`, awaited. `progress` is called on another thread."""
        return await self._long.run(self._app.compress, seal=seal, dry_run=dry_run, progress=progress)

    async def decompress(self, *, dry_run: bool = False, progress: Progress | None = None) -> Compressed:
        """`Act.decompress`, awaited. `progress` is called on another thread."""
        return await self._long.run(self._app.decompress, dry_run=dry_run, progress=progress)

    async def archive(
        self,
        to: str | os.PathLike[str],
        *,
        keep: int = 0,
        older_than: timedelta | None = None,
        parquet: bool | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Archived:
        """`Act.archive`, awaited. `progress` is called on another thread."""
        return await self._long.run(
            self._app.archive,
            to,
            keep=keep,
            older_than=older_than,
            parquet=parquet,
            dry_run=dry_run,
            progress=progress,
        )

    async def unarchive(
        self, *, remove: bool = False, dry_run: bool = False, progress: Progress | None = None
    ) -> Archived:
        """`Act.unarchive`, awaited. `progress` is called on another thread."""
        return await self._long.run(self._app.unarchive, remove=remove, dry_run=dry_run, progress=progress)

    async def restore(
        self,
        source: str | os.PathLike[str],
        *,
        replace: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Restored:
        """`Act.restore`, awaited. `progress` is called on another thread."""
        return await self._long.run(self._app.restore, source, replace=replace, dry_run=dry_run, progress=progress)

    @spelled_out
    async def export(
        self,
        path: str | os.PathLike[str],
        query: str | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        at: int | datetime | None = None,
        events: Sequence[type[Event]] | None = None,
        compression: Compression | None = None,
        partition_by: str | Sequence[str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
        **conditions: Unpack[Conditions],
    ) -> Exported:
        """`Act.export`, awaited. `progress` is called on another thread."""
        return await self._long.run(
            self._app.export,
            path,
            query,
            params=params,
            at=at,
            events=events,
            compression=compression,
            partition_by=partition_by,
            overwrite=overwrite,
            progress=progress,
            **conditions,
        )

    @spelled_out
    def arrow(
        self,
        event: type[Event] | None = None,
        /,
        *,
        events: Sequence[type[Event]] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Columns:
        """`Act.arrow`. Reading from it happens on the caller's thread, and blocks the loop.

        On a database, this call itself blocks too, while the copy is brought up to date; call `sync.arrow` on a thread
        instead.
        """
        return self._app.arrow(event, events=events, **conditions)

    @spelled_out
    def lazy(self, event: type[Event] | None = None, /, **conditions: Unpack[Conditions]) -> "LazyFrame":
        """`Act.lazy`. Collecting it happens on the caller's thread, and blocks the loop; `collect_async` does not."""
        return self._app.lazy(event, **conditions)
