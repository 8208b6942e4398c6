"""The verbs that copy whole logs out and in, as `Act` has them: backup, restore, export."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Unpack

from act_fast._checks.extras import need
from act_fast._core import Columns
from act_fast._events.event import Event
from act_fast._rows import Progress
from act_fast._runtime.apart import check_interrupted
from act_fast._workers.runner import Program
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import cut
from act_fast.stores.conditions import Conditions, check_names, filter_of, spelled_out
from act_fast.stores.log.local import LocalLog
from act_fast.stores.port import Store
from act_fast.stores.values import Archived, Backup, Compressed, Compression, Exported, Restored

if TYPE_CHECKING:
    from polars import LazyFrame

    from act_fast._app.pipeline import Engine
    from act_fast._sql.library import Library

__all__ = ["Exchanges", "log_of"]


class Exchanges:
    """The verbs."""

    _engine: "Engine"
    _program: Program

    if TYPE_CHECKING:

        @property
        def _library(self) -> "Library": ...

    def backup(self, path: str | os.PathLike[str], *, whole: bool = False, progress: Progress | None = None) -> Backup:
        """Copy the store, as it is now, to a new directory, while everyone keeps using it.

        The copy holds every event and snapshot up to the position that was the last when it was made, and the progress
        of reactions. It is read back and flushed before it gets its name, so it is there completely or not at all.

        Args:
            path: where nothing exists yet.
            whole: also copy what is archived, so that the backup needs no archive.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Returns:
            what the backup holds.

        Raises:
            ValidationError: there is something at `path` already, or the store is not a log.
            StoreCorruptError: the store is damaged; nothing was kept of the copy.
            StoreFullError: there is no room at `path`; nothing was kept of the copy.
            StoreLockedError: another backup to `path` is in progress.
            OutcomeUnknownError: the copy is there and complete, but may not survive a power cut.
            ArchiveUnavailableError: `whole`, and the archive cannot be reached; nothing was kept of the copy.
        """
        store = self._engine.store
        if not isinstance(store, LocalLog):
            raise ValidationError(f"{type(store).__name__} is not a log on this machine; back it up with its own tools")
        return store.backup(path, whole=whole, progress=progress)

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
            ValidationError: the store was opened for reading only, or is not a log.
        """
        return self._own_log("compressed").compress(seal=seal, dry_run=dry_run, progress=progress)

    def decompress(self, *, dry_run: bool = False, progress: Progress | None = None) -> Compressed:
        """Undo `compress`: every file of the log is plain again, as earlier versions of act-fast read it.

        Args:
            dry_run: only report how much space it would take.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            StoreCorruptError: a file is damaged; it was left as it is.
            StoreFullError: there is no room for the plain form beside the compressed one.
            StoreLockedError: another call is doing this, in this program or another.
            ValidationError: the store was opened for reading only, or is not a log.
        """
        return self._own_log("decompressed").decompress(dry_run=dry_run, progress=progress)

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
        log = self._own_log("archived")
        return log.archive(to, keep=keep, older_than=older_than, parquet=parquet, dry_run=dry_run, progress=progress)

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
        return self._own_log("unarchived").unarchive(remove=remove, dry_run=dry_run, progress=progress)

    def _own_log(self, done: str) -> LocalLog:
        store = self._engine.store
        if not isinstance(store, LocalLog):
            raise ValidationError(f"{type(store).__name__} is not a log on this machine, so it cannot be {done}")
        return store

    def restore(
        self,
        source: str | os.PathLike[str],
        *,
        replace: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Restored:
        """Fill the store with the events of an export; with `replace`, in the place of everything that is in it.

        A complete new log is built beside the old one, read back and flushed; only then does it take the old one's
        place, in one step. If anything fails before that, the store stays as it was. Afterwards, this app and every
        other app on the same store forget their cached states, and their reactions start again from the first event.
        Anything still running on the old log (queries, histories, waits, a `settle`) ends with `StoreClosedError`.

        A database is filled in one transaction, and must be empty.

        Args:
            source: a file whose name ends in .jsonl, .csv or .parquet, or a folder of Parquet files, with the columns
                that `export` writes. Stream, name and data are required; position, commit, version, created and meta
                may be left out.
            replace: also replace a store that holds events. They are gone afterwards.
            dry_run: only check the source.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            RestoreError: the source is damaged or is something else; the error says where.
            StoreLockedError: another process has the store open, or workers of this app are running.
            StoreFullError: there is no room for a second log.
            OutcomeUnknownError: the new log is in its place, but may not survive a power cut.
            ValidationError: there is no such source, the store holds events and `replace` was not asked for, or it is a
                database that is not empty.
        """
        from act_fast._app.restoring import restore_store

        store = self._engine.store
        if dry_run:
            return restore_store(store, source, replace=replace, dry_run=dry_run, progress=progress)
        told = noticing(progress)

        def replaced() -> Restored:
            with self._program.paused():
                return restore_store(store, source, replace=replace, dry_run=False, progress=told)

        return self._program.apart(replaced)

    @spelled_out
    def export(
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
        """Write events, or the answer to a query, to a file.

        Without a query: all events, or those that meet every condition, as the log is now. The columns are position,
        commit (the position of the first event of the same commit), stream, version, name, created, data and meta: all
        that `restore` needs to rebuild the log. Payloads come out exactly as they were stored; in JSON lines, each
        event is on one line. With a query: whatever `sql` answers. The file appears only once it is complete.

        Args:
            path: ends in `.parquet`, `.csv` or `.jsonl`, which chooses the format.
            query: a question in SQL; cannot be combined with other conditions.
            params: values for the query's `$name` parameters.
            at: ask the query as of this position or time.
            events: only those of these classes, including events stored under an older name.
            compression: of Parquet: `"zstd"`, `"snappy"`, `"gzip"`, `"lz4"` or `"uncompressed"`; None is `"zstd"`.
            partition_by: of Parquet: makes `path` a folder that contains a folder for each value of these columns.
            overwrite: replace an existing file.
            progress: called now and then with (positions done, positions in all); for Parquet and queries, at the end.
            conditions: which events, as `Conditions` lists them.

        Returns:
            where it was written, and how many rows.

        Raises:
            ValidationError: a condition or an option is wrong, or there is something at `path` already.
            StoreFullError: there is no room; nothing was kept of the file.
            StoreLockedError: another export to `path` is in progress.
            OutcomeUnknownError: the file is there and complete, but may not survive a power cut.
        """
        check_names(conditions)
        if query is not None:
            if events is not None or any(each not in (None, 0) for each in conditions.values()):
                raise ValidationError("a query chooses its own rows: export it without any other condition")
            need("exporting the answer of a query", "duckdb", "fsspec")
            from act_fast.stores.log.export import check_destination, export_answer

            target = check_destination(path, compression, partition_by, overwrite)
            made = export_answer(self._library.sql(query, params or {}, at, lossless=True), target)
            if progress is not None:
                progress(made.rows, made.rows)
            return made
        if params is not None or at is not None:
            raise ValidationError("params= and at= need a query; for events as of a position, use before=")
        return log_of(self._engine.store).export(
            path,
            names=None if events is None else self._engine.names_of(events),
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
        """Events as Arrow columns, for Polars, pandas, pyarrow and anything else that reads Arrow's C stream.

            polars.DataFrame(app.arrow(Deposited))

        The columns are those of `events` in SQL, or for one class those of its relation: a typed column for each field,
        with upcasters applied, and `error` for those that do not decode. It yields the log as it is now, however often
        it is read. Nothing is read before you read from it, and then it is read batch by batch.

        Args:
            event: the events of this class, including those stored under an older name.
            events: only those of these classes, with their data as JSON.
            conditions: which events, as `Conditions` lists them.

        Raises:
            ValidationError: a condition is wrong, or the store cannot be copied to this machine.
            DefinitionError: a class is not an event of this app.
        """
        check_names(conditions)
        if event is not None and events is not None:
            raise ValidationError("name one class for its own columns, or several with events=, not both")
        names = None if events is None else self._engine.names_of(events)
        log = log_of(self._engine.store)
        if event is None:
            return log.arrow(names=names, **conditions)
        need(f"arrow({event.__name__})", "duckdb", "fsspec")
        return self._library.events_of(event).columns(log.columns(), cut(log.columns(), filter_of(conditions)))

    @spelled_out
    def lazy(self, event: type[Event] | None = None, /, **conditions: Unpack[Conditions]) -> "LazyFrame":
        """Events as a lazy frame of Polars (`pip install 'act-fast[polars]'`): it reads what its query needs.

            app.lazy(Deposited).filter(polars.col("position") > 1000).select(polars.col("amount").sum()).collect()

        The columns are those of `arrow`. Columns that a query leaves out are not read. Nor are events that its filters
        exclude by position, time, stream, stored name or correlation. Each `collect` reads the log as it is then, some
        hundred thousand events at a time.

        Args:
            event: the events of this class, including those stored under an older name.
            conditions: which events, as `Conditions` lists them.

        Raises:
            ValidationError: a condition is wrong, or the store cannot be copied to this machine.
            DefinitionError: the class is not an event of this app.
        """
        check_names(conditions)
        need("lazy()", "polars", "duckdb", "fsspec", extra="polars")
        from act_fast._sql.lazy_frame import lazy_frame
        from act_fast._sql.relations import EventsRelation

        relation = EventsRelation() if event is None else self._library.events_of(event)
        return lazy_frame(relation, lambda: log_of(self._engine.store).columns(), filter_of(conditions))


def noticing(progress: Progress | None) -> Progress:
    """The same, for work that is done apart: it ends when whoever waits for it is interrupted."""

    def told(done: int, total: int) -> None:
        check_interrupted()
        if progress is not None:
            progress(done, total)

    return told


def log_of(store: Store, progress: Progress | None = None) -> LocalLog:
    """The log itself, or a copy on this machine of what is in a database.

    Raises:
        ValidationError: the store is neither.
    """
    from act_fast._app.local_copy import at_hand

    found = at_hand(store, progress)
    if not isinstance(found, LocalLog):
        raise ValidationError(f"{type(store).__name__} is not a log, and cannot be copied; use its own tools")
    return found
