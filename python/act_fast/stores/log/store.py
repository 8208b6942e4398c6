"""The store that is a directory on this machine: a thin layer over the log in the core."""

import os
import warnings
import weakref
from collections.abc import Iterator, Sequence
from itertools import chain, takewhile
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, Unpack

from act_fast._checks import arguments
from act_fast._checks.moments import moment
from act_fast._core import Appended, Columns, Log, Restoring
from act_fast._events.committed import Committed
from act_fast._events.event import encode
from act_fast._events.meta import Meta
from act_fast._rows import Progress, Row
from act_fast.errors import StoreError, ValidationError
from act_fast.stores.capabilities import ColumnReader, LogMark, ReplayGroups, Rows, Transfer, cut
from act_fast.stores.conditions import Conditions, filter_of, spelled_out
from act_fast.stores.given import cause_of, part, parts_of
from act_fast.stores.log.from_core import store_stats, verify_report
from act_fast.stores.log.moved import check_not_moved
from act_fast.stores.log.notifications import News
from act_fast.stores.log.reactions import LogReactions
from act_fast.stores.pages import page_size, pages, pages_found
from act_fast.stores.reaction_port import ReactionPort
from act_fast.stores.rows import each_committed, stream_info
from act_fast.stores.values import (
    Append,
    Backup,
    Compression,
    Exported,
    NewEvent,
    Restored,
    StoredSnapshot,
    StoreStats,
    StreamInfo,
    VerifyReport,
)

__all__ = ["Durability", "LogStore"]

Durability: TypeAlias = Literal["fsync", "interval", "os"]
"""What an append waits for, as explained at `LogStore`: `"fsync"` until it would survive a power cut, the others for
nothing.
"""

_ARROW_COLUMNS: Final = (
    *("position", "stream", "version", "name", "data", "created", "correlation", "causation", "actor"),
)
"""The columns that Arrow readers get: those of `events` in SQL."""
_SEGMENT_BYTES: Final = 64 * 1024 * 1024
_PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024


class LogStore:
    """An append-only log in a directory. Any number of threads and processes may have it open and use it at once.

    Args:
        path: the store's directory.
        durability: what an append waits for. `"fsync"`: until it would survive a power cut; concurrent appends share a
            flush. `"interval"`: nothing; a flush follows in the background, so a power cut loses what came since the
            last one. `"os"`: nothing; it survives the end of this process, but not a crash of the machine. None: the
            same as those who already have the store open, or else `"fsync"`.
        flush_interval: how often `"interval"` flushes, in seconds.
        segment_bytes: the size of the files that the log is made of; applies to files created from now on.
        payload_max_bytes: the largest data that an event may have.
        read_only: whether appending is refused. Nothing is written then, except the word that records who waits for
            news, and repairs if the machine has crashed.
        create: whether to create a store if there is none.

    Raises:
        StoreFormatError: there is something else at `path`, or a store of a newer format.
        StoreCorruptError: the store is damaged in a place that no torn write explains; `verify_path` says more.
        StoreError: the directory cannot be read, written or created.
        ValidationError: an option is not valid.
    """

    __slots__ = ("__weakref__", "_log", "_news", "_reactions")

    _log: Log
    _news: News
    _reactions: "weakref.WeakSet[LogReactions]"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability | None = "fsync",
        flush_interval: float = 0.1,
        segment_bytes: int = _SEGMENT_BYTES,
        payload_max_bytes: int = _PAYLOAD_BYTES_MAX,
        read_only: bool = False,
        create: bool = True,
    ) -> None:
        self._log = Log.open(
            arguments.directory(path),
            None if durability is None else arguments.one_of("durability", durability, ("fsync", "interval", "os")),
            arguments.milliseconds("flush_interval", flush_interval),
            arguments.count("segment_bytes", segment_bytes),
            arguments.count("payload_max_bytes", payload_max_bytes),
            arguments.flag("read_only", read_only),
            arguments.flag("create", create),
        )
        self._begin()
        if not read_only:
            self._refuse_moved()
        if not read_only and (system := self._log.copies_on_write) is not None:
            warnings.warn(
                f"{self.path} is on {system}, which writes what is written again to another place: should the disk fill"
                " up, a process that appends can end with SIGBUS instead of an error; put the store on ext4 or XFS, or"
                " see to it that there is always room",
                RuntimeWarning,
                stacklevel=2,
            )

    @classmethod
    def memory(cls, *, segment_bytes: int = _SEGMENT_BYTES, payload_max_bytes: int = _PAYLOAD_BYTES_MAX) -> Self:
        """The same engine in this process's memory, gone when closed: for tests, and for trying things out."""
        store = cls.__new__(cls)
        store._log = Log.memory(
            arguments.count("segment_bytes", segment_bytes),
            arguments.count("payload_max_bytes", payload_max_bytes),
        )
        store._begin()
        return store

    @classmethod
    def copied_into(
        cls, path: str | os.PathLike[str], *, durability: Durability | None = "os", create: bool = True
    ) -> Self:
        """A log that another store is copied into, for the framework: also one that was moved away from."""
        store = cls.__new__(cls)
        store._log = Log.open(arguments.directory(path), durability, 100, _SEGMENT_BYTES, 2**62, False, create)
        store._begin()
        return store

    @property
    def path(self) -> str:
        """The store's directory, or `memory:` for a store in memory."""
        return self._log.path

    @property
    def durability(self) -> str:
        """What an append waits for: `"fsync"`, `"interval"` or `"os"`."""
        return self._log.durability

    def append(
        self,
        stream: str,
        events: Sequence[NewEvent],
        *,
        expected_version: int | None = None,
        meta: Meta | None = None,
    ) -> Appended:
        """Append `events` to `stream` as one commit, all or nothing.

        Args:
            stream: the stream's name, 1 to 512 bytes, without NUL or newline.
            events: at least one: events, or pairs of a name and encoded JSON.
            expected_version: the version that the stream must be at, 0 for a new one; None does not check.
            meta: why it happened; one for the whole commit.

        Returns:
            the first and last version and position of what was appended.

        Raises:
            ConcurrencyError: the stream is at another version; nothing was written.
            StoreFullError: there is no room; nothing was written.
            OutcomeUnknownError: something failed after it was written, so it may be there or not.
            StoreFailedError: a write or a flush failed, now or before; close the store and open it again.
        """
        cause = None if meta is None else cause_of(meta)
        try:
            if type(events[0]) is tuple:
                return self._log.append(stream, events, expected_version, cause)  # type: ignore[arg-type]
            encoded = [encode(event) for event in events]  # type: ignore[arg-type]
            return self._log.append(stream, encoded, expected_version, cause)
        except (ValidationError, TypeError, LookupError):
            # Pairs and events are mixed, which is fine, or an argument is wrong, and then one of these says which.
            pairs = part(stream, events, expected_version)
        return self._log.append(*pairs, cause)

    def append_many(self, appends: Sequence[Append], *, meta: Meta | None = None) -> list[Appended]:
        """Append to several streams as one commit, all or nothing; each may expect a version.

        Returns:
            for each of `appends`, in their order, where its events are.

        Raises:
            ConcurrencyError: a stream is at another version than expected; nothing was written.
            StoreFullError: there is no room; nothing was written.
            OutcomeUnknownError: something failed after it was written, so it may be there or not.
            StoreFailedError: a write or a flush failed, now or before; close the store and open it again.
        """
        cause = None if meta is None else cause_of(meta)
        try:
            return self._log.append_many([_part(each) for each in appends], cause)
        except (ValidationError, TypeError, LookupError, AttributeError):
            # As in `append`: one of these says which argument is wrong, if one is.
            parts = parts_of(appends)
        return self._log.append_many(parts, cause)

    def load(
        self, stream: str, *, after: int = 0, before: int | None = None, limit: int | None = None
    ) -> Iterator[Committed[bytes]]:
        """The events of one stream in order, with `after` < version < `before`, as the stream is now.

        A stream that does not exist has none. Pages are read as you ask for them, so memory use stays the same.
        """
        rows = chain.from_iterable(self._pages_of(stream, after, before, arguments.optional_count("limit", limit)))
        return each_committed(rows)

    @spelled_out
    def query(
        self,
        *,
        names: Sequence[str] | None = None,
        limit: int | None = None,
        backwards: bool = False,
        **conditions: Unpack[Conditions],
    ) -> Iterator[Committed[bytes]]:
        """The events that meet every condition, in the order of their positions, as the store is now.

        Pages are read as you ask for them, so memory use stays the same however many there are. The query walks the
        narrowest of `stream` and `names`; without either, it looks at every event between its bounds.

        Args:
            names: only events with one of these names; an empty sequence gives nothing.
            limit: at most this many.
            backwards: from the last to the first.
            conditions: which events, as `Conditions` lists them.
        """
        limit = arguments.optional_count("limit", limit)
        found = self._log.query(filter_of(conditions, names), arguments.flag("backwards", backwards))
        return each_committed(chain.from_iterable(pages_found(found, limit)))

    @property
    def head(self) -> int:
        """The position of the last event; 0 if there are none."""
        return self._log.head

    def version(self, stream: str) -> int:
        """The number of events in `stream`; 0 if there is no such stream."""
        return self._log.version(arguments.text("stream", stream))

    def streams(
        self, *, pattern: str | None = None, after: str | None = None, limit: int | None = None
    ) -> Iterator[StreamInfo]:
        """The streams that exist now, in the order of their first events, without reading their events.

        Args:
            pattern: only those whose names match this regular expression anywhere.
            after: only those created after this one; for paging, pass the last of the page before.
            limit: at most this many.
        """
        limit = arguments.optional_count("limit", limit)
        pattern = None if pattern is None else arguments.text("pattern", pattern)
        after = None if after is None else arguments.text("after", after)
        log = self._log.pin()
        head = log.head
        first = log.streams(pattern, after, page_size(limit))
        rows = chain.from_iterable(pages(first, limit, lambda where, size: log.streams(pattern, where, size)))
        return map(stream_info, takewhile(lambda row: row[2] <= head, rows))

    def names(self) -> dict[str, int]:
        """How many events there are of each name."""
        return dict(self._log.names())

    def save_snapshot(self, stream: str, version: int, data: bytes) -> None:
        """Keep `data` as the state of `stream` at `version`. It takes up neither a version nor a position.

        Args:
            stream: a stream that has reached `version`.
            version: the version at which the state stands, from 1.
            data: the state, encoded as you like.
        """
        if not isinstance(data, bytes):
            raise ValidationError(f"a snapshot's data must be bytes, not {type(data).__name__}")
        self._log.save_snapshot(arguments.text("stream", stream), arguments.count("version", version), data)

    def latest_snapshot(self, stream: str, *, at_or_below: int | None = None) -> StoredSnapshot | None:
        """The snapshot of `stream` at the highest version, or the highest up to `at_or_below`; None without one."""
        found = self._log.latest_snapshot(
            arguments.text("stream", stream), arguments.optional_count("at_or_below", at_or_below)
        )
        if found is None:
            return None
        version, created_us, data = found
        return StoredSnapshot(version, moment(created_us), data)

    def wait(self, after: int, timeout: float | None = None) -> int:
        """Sleep until the head is above `after`, in this or any other process, and return the head.

        Args:
            after: a position, usually the last one seen.
            timeout: give up after this many seconds and return the head as it is; None waits forever.
        """
        timeout_ms = None if timeout is None else arguments.milliseconds("timeout", timeout)
        return self._log.wait(arguments.count("after", after), timeout_ms)

    async def wait_async(self, after: int, timeout: float | None = None) -> int:
        """`wait`, awaited. However many tasks wait, one thread sleeps for them all; cancelling is harmless."""
        after = arguments.count("after", after)
        seconds = None if timeout is None else arguments.milliseconds("timeout", timeout) / 1000
        if self.head > after:
            return self.head
        with self._news.above(after) as future:
            if self.head <= after:  # looked at again, since news may have come before there was anybody to tell
                import asyncio

                await asyncio.wait((future,), timeout=seconds)
            return future.result() if future.done() else self.head

    def flush(self) -> None:
        """Return when everything appended so far would survive a power cut, whatever the store's durability."""
        self._log.flush()

    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Read everything, check every checksum and every index, and report what is wrong and where.

        Args:
            progress: called now and then with (bytes done, bytes in all).
        """
        return verify_report(self._log.verify(progress))

    def backup(self, path: str | os.PathLike[str], *, progress: Progress | None = None) -> Backup:
        """Copy the store, as it is now, to a new directory, while everyone goes on using it.

        The copy is this store as it was at its head: the same events, snapshots and reactions, the same id. Anything
        that can be rebuilt is left out, and rebuilt when the copy is opened. It is there completely or not at all.

        Args:
            path: where nothing exists yet.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            ValidationError: there is something at `path` already, or it is within the store.
            StoreCorruptError: the store is damaged; nothing was kept of the copy.
            StoreFullError: there is no room at `path`; nothing was kept of the copy.
            StoreLockedError: another backup to `path` is in progress.
            OutcomeUnknownError: the copy is there and complete, but may not survive a power cut.
        """
        target = arguments.directory(path)
        from pathlib import Path

        if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self.path)):
            raise ValidationError(f"{target} is within the store itself; choose a place outside, best on another disk")
        return Backup(target, *self._log.backup(target, progress))

    @spelled_out
    def arrow(self, *, names: Sequence[str] | None = None, **conditions: Unpack[Conditions]) -> Columns:
        """Events as Arrow columns, for Polars, pandas, pyarrow and anything else that reads Arrow's C stream.

        The columns are those of `events` in SQL: position, stream, version, name, data (JSON), created, correlation,
        causation (JSON) and actor. It yields the log as it is now, however often it is read. Nothing is read before you
        read from it, and then it is read batch by batch.

        Args:
            names: only events with one of these names; an empty sequence gives nothing.
            conditions: which events, as `Conditions` lists them.
        """
        log = self._log.pin()
        return log.columns([(name, name) for name in _ARROW_COLUMNS], filter=cut(log, filter_of(conditions, names)))

    @spelled_out
    def export(
        self,
        path: str | os.PathLike[str],
        *,
        names: Sequence[str] | None = None,
        compression: Compression | None = None,
        partition_by: str | Sequence[str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
        **conditions: Unpack[Conditions],
    ) -> Exported:
        """Write events to a file: all of them, or those that meet every condition, as the log is now.

        The columns are position, commit (the position of the first event of the same commit), stream, version, name,
        created, data and meta: all that `restore` needs to rebuild the log. Payloads come out exactly as they were
        stored; in JSON lines, each event is on one line. The file appears only once it is complete.

        Args:
            path: ends in `.parquet`, `.csv` or `.jsonl`, which chooses the format.
            names: only events with one of these names; an empty sequence gives nothing.
            compression: of Parquet: `"zstd"`, `"snappy"`, `"gzip"`, `"lz4"` or `"uncompressed"`; None is `"zstd"`.
            partition_by: of Parquet: makes `path` a folder that contains a folder for each value of these columns.
            overwrite: replace an existing file.
            progress: called now and then with (positions done, positions in all); for Parquet at the end.
            conditions: which events, as `Conditions` lists them.

        Raises:
            ValidationError: a condition or an option is wrong, or there is something at `path` already.
            StoreFullError: there is no room; nothing was kept of the file.
            StoreLockedError: another export to `path` is in progress.
            OutcomeUnknownError: the file is there and complete, but may not survive a power cut.
        """
        from act_fast.stores.log.export import check_destination, export_events

        target = check_destination(path, compression, partition_by, overwrite)
        return export_events(self._log.pin(), target, filter_of(conditions, names), progress)

    def restore(
        self, source: str | os.PathLike[str], *, dry_run: bool = False, progress: Progress | None = None
    ) -> Restored:
        """Replace everything in the store with the events of an export.

        A complete new log is built beside the old one, read back and flushed; only then does it take the old one's
        place, in one step. If anything fails before that, the store stays as it was. Afterwards the store has another
        id and no snapshots, and reactions start again. Anything still running on this handle (queries, waits) ends with
        `StoreClosedError`.

        Args:
            source: a file whose name ends in .jsonl, .csv or .parquet, or a folder of Parquet files, with the columns
                that `export` writes. Stream, name and data are required; position, commit, version, created and meta
                may be left out.
            dry_run: only check the source.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            RestoreError: the source is damaged or is something else; the error says where.
            StoreLockedError: another process has the store open.
            StoreFullError: there is no room for a second log.
            OutcomeUnknownError: the new log is in its place, but may not survive a power cut.
            ValidationError: there is no such source, or this handle is read-only.
        """
        from act_fast.stores.log.restore import check_source, restore_into

        path = check_source(source)
        if arguments.flag("dry_run", dry_run):
            return restore_into(Restoring.rehearsal, path, progress)
        begun: list[None] = []  # whether this handle has let go of the store, be it this very moment

        def let_go() -> None:
            begun.append(None)
            self._close_reactions()

        try:
            self._log.release(let_go)
            return restore_into(self._log.restoring, path, progress)
        finally:
            if begun:
                self._log.reopen()

    def rebuild_index(self) -> None:
        """Rebuild the index from the log. Others may use the store meanwhile."""
        self._log.rebuild_index()

    def stats(self) -> StoreStats:
        """How much the store holds."""
        return store_stats(self._log.stats())

    def reactions(self) -> ReactionPort:
        """What the store keeps of reactions, opened for one program: targets, leases, and what they have to do.

        It is closed with the store. Apps do all this themselves; use it to look at a store without an app.
        """
        found = LogReactions(self._log)
        self._reactions.add(found)
        return found

    def pinned(self) -> "LogStore | None":
        """The same store, for as long as its log is this one; see `pinned_to_log`. For the framework."""
        if type(self) is not LogStore:
            return None  # what it has overridden would be lost
        found = LogStore.__new__(LogStore)
        found._log, found._news, found._reactions = self._log.pin(), self._news, self._reactions
        return found

    def log_mark(self) -> LogMark:
        """A mark of the log as it is now, for the framework."""
        return self._log.pin()

    def rows(self) -> Rows | None:
        """The core's own rows, for the framework. None in a subclass, whose verbs may do more than the core's."""
        return self._log if type(self) is LogStore else None

    def replay_groups(self) -> ReplayGroups | None:
        """The core's own replay, for the framework. None in a subclass, as `rows`."""
        return self._log if type(self) is LogStore else None

    def columns(self) -> ColumnReader:
        """Events as the core's own columns, for SQL and Arrow."""
        return self._log

    def transfer(self) -> Transfer:
        """All that the store holds, out and in as it stands, for the framework."""
        from act_fast.stores.log.transfer import LogTransfer

        return LogTransfer(self._log)

    def close(self) -> None:
        """Release the store. Closing again does nothing; any other call raises `StoreClosedError` from now on."""
        try:
            self._close_reactions()
            self._log.close()
        finally:
            self._news.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._log.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r}, durability={self.durability!r})"

    def _begin(self) -> None:
        self._news = News(self._log)
        weakref.finalize(self, self._news.abandon).atexit = False
        self._reactions = weakref.WeakSet()

    def _refuse_moved(self) -> None:
        try:
            check_not_moved(self.path)
        except StoreError:
            self.close()
            raise

    def _close_reactions(self) -> None:
        for reactions in tuple(self._reactions):
            reactions.close()

    def _pages_of(self, stream: str, after: int, before: int | None, limit: int | None) -> Iterator[list[Row]]:
        stream = arguments.text("stream", stream)
        before = arguments.optional_count("before", before)
        log = self._log.pin()
        first = log.load(stream, arguments.count("after", after), before, page_size(limit))
        if first[1] is None:
            return iter((first[0],))
        end = log.version(stream) + 1  # what is appended while the pages are read is not for this reader
        end = end if before is None else min(before, end)
        return pages(first, limit, lambda where, size: log.load(stream, where, end, size))


def _part(each: Append) -> tuple[str, Sequence[tuple[str, bytes]], int | None]:
    """One stream's part of a commit, as the core takes it; what is wrong with it is the core's to notice."""
    events = each.events
    if type(events[0]) is not tuple:
        events = [encode(event) for event in events]  # type: ignore[arg-type]
    return each.stream, events, each.expected_version  # type: ignore[return-value]
