"""A log on this machine, as it is read: the verbs that only look, and those about the state of its files."""

import os
import weakref
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain, takewhile
from types import TracebackType
from typing import Final, Self, Unpack

import msgspec

from act_fast._checks import arguments
from act_fast._checks.moments import moment
from act_fast._core import Columns, Log, Query
from act_fast._events.committed import Committed
from act_fast._rows import EventColumns, Progress
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import Clock, ColumnReader, Guest, LogMark, cut
from act_fast.stores.conditions import Conditions, filter_of, spelled_out
from act_fast.stores.log.from_core import store_stats, verify_report
from act_fast.stores.log.notifications import News
from act_fast.stores.pages import page_size, pages
from act_fast.stores.rows import each_in, stream_info
from act_fast.stores.values import (
    Archived,
    Backup,
    Compressed,
    Compression,
    Exported,
    StoredSnapshot,
    StoreStats,
    StreamInfo,
    VerifyReport,
)

__all__ = ["LocalLog"]

_ARROW_COLUMNS: Final = (
    *("position", "stream", "version", "name", "data", "created", "correlation", "causation", "actor", "tags"),
)
"""The columns that Arrow readers get: those of `events` in SQL."""


class LocalLog:
    """A log on this machine, as it is read. What appends to it is a class of its own."""

    __slots__ = ("__weakref__", "_guests", "_log", "_news")

    _guests: "weakref.WeakSet[Guest]"
    _log: Log
    _news: News

    @property
    def path(self) -> str:
        """The store's directory, or `memory:` for a store in memory."""
        return self._log.path

    def load(
        self, stream: str, *, after: int = 0, before: int | None = None, limit: int | None = None
    ) -> Iterator[Committed[bytes]]:
        """The events of one stream in order, with `after` < version < `before`, as the stream is now.

        A stream that does not exist has none. Pages are read as you ask for them, so memory use stays the same.
        """
        return each_in(self._pages_of(stream, after, before, arguments.optional_count("limit", limit)))

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
        return each_in(_pages_found(found, limit))

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

    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Read everything, check every checksum and every index, and report what is wrong and where.

        Args:
            progress: called now and then with (bytes done, bytes in all).
        """
        return verify_report(self._log.verify(progress))

    def backup(self, path: str | os.PathLike[str], *, whole: bool = False, progress: Progress | None = None) -> Backup:
        """Copy the store, as it is now, to a new directory, while everyone keeps using it.

        The copy is this store as it was at its head: the same events, snapshots and reactions, the same id. Anything
        that can be rebuilt is left out, and rebuilt when the copy is opened. It is there completely or not at all.

        Args:
            path: where nothing exists yet.
            whole: also copy what is archived, so that the backup needs no archive.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            ValidationError: there is something at `path` already, or it is within the store.
            StoreCorruptError: the store is damaged; nothing was kept of the copy.
            StoreFullError: there is no room at `path`; nothing was kept of the copy.
            StoreLockedError: another backup to `path` is in progress.
            OutcomeUnknownError: the copy is there and complete, but may not survive a power cut.
            ArchiveUnavailableError: `whole`, and the archive cannot be reached; nothing was kept of the copy.
        """
        target, whole = arguments.directory(path), arguments.flag("whole", whole)
        _check_outside(target, self.path)
        return Backup(target, *self._log.backup(target, whole, progress))

    def compress(self, *, seal: bool = False, dry_run: bool = False, progress: Progress | None = None) -> Compressed:
        """Compress the older part of the log in place, while everyone keeps using it.

        It compresses the files that are no longer written to. They are read as before, with a cache of the parts
        unpacked last; earlier versions of act-fast refuse a store with compressed files. Each file is compressed beside
        the plain one, flushed, read back and compared with it, and then takes its place in one step. If the work ends
        early, the next call does the rest. The space is freed when the programs that have the old file open next read
        the store.

        Args:
            seal: also end the file that is being written to, so that the whole log is compressed. Use it seldom.
            dry_run: only report what it would save.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            StoreCorruptError: a file is damaged; it was left as it is.
            StoreFullError: there is no room for the new form beside the old one.
            StoreLockedError: another call is doing this, in this program or another.
            ValidationError: the store was opened for reading only.
        """
        seal, dry_run = arguments.flag("seal", seal), arguments.flag("dry_run", dry_run)
        return Compressed(*self._log.compress(seal, dry_run, progress))

    def decompress(self, *, dry_run: bool = False, progress: Progress | None = None) -> Compressed:
        """Undo `compress`: every file of the log is plain again, as earlier versions of act-fast read it.

        Args:
            dry_run: only report how much space it would take.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            StoreCorruptError: a file is damaged; it was left as it is.
            StoreFullError: there is no room for the plain form beside the compressed one.
            StoreLockedError: another call is doing this, in this program or another.
            ValidationError: the store was opened for reading only.
        """
        return Compressed(*self._log.decompress(arguments.flag("dry_run", dry_run), progress))

    def archive(
        self,
        to: str | os.PathLike[str],
        *,
        keep: int = 0,
        older_than: timedelta | None = None,
        parquet: bool | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Archived:
        """Move the older part of the log to a folder or to object storage, while everyone keeps using the store.

        It moves the oldest files that are no longer written to. Each is compressed, copied there, read back and
        compared; then a stub takes its place here. Loads, histories, queries, SQL, replay, verifying and exports work
        as before, and fetch what they need from the archive. Positions, versions, the index and the names stay here. If
        the archive cannot be reached, reading what is in it raises `ArchiveUnavailableError`; everything else keeps
        working. If the work ends early, the next call does the rest. Earlier versions of act-fast refuse the store.

        Other programs can read the archive: `manifest.json` lists its files, with their positions, sizes and digests.

        Args:
            to: a folder, or `s3://key:secret@bucket/prefix?endpoint=…&region=…`. Credentials are not kept: without a
                key, those of the environment are used. A store has one archive; to move it, copy it, and archive to the
                copy.
            keep: how many of the newest events stay here in any case.
            older_than: only files all of whose events are older than this.
            parquet: whether to write the events there as Parquet as well, one file beside each object, so that any tool
                can read them. True: also for files that were archived without. None: if `act-fast[sql]` is installed.
            dry_run: only report what it would save.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            ArchiveUnavailableError: `to` cannot be reached or written.
            StoreCorruptError: a file is damaged, or what was put there reads back differently; it was left as it is.
            StoreLockedError: another call is doing this, in this program or another.
            ValidationError: the store was opened for reading only, or is a replica, or its archive is elsewhere.
            MissingExtraError: `parquet` is True, and `act-fast[sql]` is not installed.
        """
        from act_fast.stores.log.readable import parquet_maker
        from act_fast.stores.log.shelf import archive_address

        upto = self.head - arguments.count("keep", keep)
        if older_than is not None:
            if not isinstance(older_than, timedelta):
                raise ValidationError(f"older_than must be a timedelta, not {type(older_than).__name__}")
            age_us = older_than // timedelta(microseconds=1)
            upto = min(upto, self._log.position_before(self._log.now_us() - age_us))
        address = archive_address(to)
        if "://" not in address:
            _check_outside(address, self.path)
        maker, dry_run = parquet_maker(self._log, parquet), arguments.flag("dry_run", dry_run)
        done = self._log.archive(address, max(upto, 0), maker, bool(parquet), dry_run, progress)
        return Archived(address, *done)

    def unarchive(self, *, remove: bool = False, dry_run: bool = False, progress: Progress | None = None) -> Archived:
        """Undo `archive`: bring every file of the log back, compressed.

        Args:
            remove: also remove the objects and the Parquet files. Backups of this store made in the meantime need the
                objects.
            dry_run: only report how much space it would take.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            ArchiveUnavailableError: the archive cannot be reached.
            StoreCorruptError: an object is not what was put there; its stub was left as it is.
            StoreFullError: there is no room for the files.
            StoreLockedError: another call is doing this, in this program or another.
            ValidationError: the store was opened for reading only.
        """
        remove, dry_run = arguments.flag("remove", remove), arguments.flag("dry_run", dry_run)
        address = self._log.archived()[0] or ""
        return Archived(address, *self._log.unarchive(remove, dry_run, progress))

    @spelled_out
    def arrow(self, *, names: Sequence[str] | None = None, **conditions: Unpack[Conditions]) -> Columns:
        """Events as Arrow columns, for Polars, pandas, pyarrow and anything else that reads Arrow's C stream.

        The columns are those of `events` in SQL: position, stream, version, name, data (JSON), created, correlation,
        causation (JSON), actor and tags (a list). It yields the log as it is now, however often it is read. Nothing is
        read before you read from it, and then it is read batch by batch.

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

    def rebuild_index(self) -> None:
        """Rebuild the index from the log. Others may use the store meanwhile."""
        self._log.rebuild_index()

    def stats(self) -> StoreStats:
        """How much the store holds."""
        found = store_stats(self._log.stats(), self._log.rewritings())
        from act_fast.stores.log.analytics import analytics_bytes

        return msgspec.structs.replace(found, analytics_bytes=analytics_bytes(self.path))

    def log_mark(self) -> LogMark:
        """A mark of the log as it is now, for the framework."""
        return self._log.pin()

    def guests(self) -> "weakref.WeakSet[Guest]":
        """What works on the log in the background, and ends before the log is closed; for the framework."""
        return self._guests

    def clock(self) -> Clock | None:
        """The clock of a store in memory, for the framework: a test may move it."""
        return self._log if self.path == "memory:" else None

    def archived_parquet(self) -> Iterator[tuple[str, bytes]]:
        """The Parquet files of the archive, by name, for the framework.

        Raises:
            ArchiveUnavailableError: the archive cannot be reached.
        """
        for name in self._log.archived_parquet():
            yield name, self._log.archived_object(name)

    def columns(self) -> ColumnReader:
        """Events as the core's own columns, for SQL and Arrow."""
        return self._log

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

    def _pages_of(self, stream: str, after: int, before: int | None, limit: int | None) -> Iterator[EventColumns]:
        stream = arguments.text("stream", stream)
        before = arguments.optional_count("before", before)
        log = self._log.pin()
        first = log.load_columns(stream, arguments.count("after", after), before, page_size(limit), moment)
        if first[1] is None:
            return iter((first[0],))
        end = log.version(stream) + 1  # what is appended while the pages are read is not for this reader
        end = end if before is None else min(before, end)
        return pages(first, limit, lambda where, size: log.load_columns(stream, where, end, size, moment), _size)

    def close(self) -> None:
        """Let go of the log."""
        try:
            self._see_off_guests()
            self._log.close()
        finally:
            self._news.close()

    def _see_off_guests(self) -> None:
        for guest in tuple(self._guests):
            guest.leave()

    def _begin(self, log: Log) -> None:
        self._guests = weakref.WeakSet()
        self._log = log
        self._news = News(log)
        weakref.finalize(self, self._news.abandon).atexit = False


def _check_outside(target: str, store: str) -> None:
    """Refuse a copy or an archive that would be within its store's own folder."""
    from pathlib import Path

    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(store)):
        raise ValidationError(f"{target} is within the store itself; choose a place outside, best on another disk")


def _pages_found(query: Query, limit: int | None) -> Iterator[EventColumns]:
    """The pages of a query, up to `limit` events."""
    while limit != 0 and (page := query.next_columns(page_size(limit), moment)) is not None:
        if limit is not None:
            limit -= _size(page)
        yield page


def _size(page: EventColumns) -> int:
    return len(page[5])
