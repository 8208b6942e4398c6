"""The store that is a directory on this machine: a thin layer over the log in the core."""

import os
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar

from act_fast._checks import arguments
from act_fast._core import Appended, Log, Restoring
from act_fast._events.committed import Committed
from act_fast._events.event import encode
from act_fast._events.gone import REWRITINGS
from act_fast._events.meta import Meta
from act_fast._rows import EventPair, Progress, ProposedPart
from act_fast.errors import StoreError, ValidationError
from act_fast.stores.append_condition import Condition
from act_fast.stores.capabilities import Keys, ReplayGroups, Rows, Transfer
from act_fast.stores.given import Guards, cause_of, conditions_in, guards_of, part, parts_of, versions_in
from act_fast.stores.log.local import LocalLog
from act_fast.stores.log.moved import check_not_moved
from act_fast.stores.log.reactions import LogReactions
from act_fast.stores.once import Keeping, Repeated, append_once
from act_fast.stores.reaction_port import ReactionPort
from act_fast.stores.values import (
    Append,
    NewEvent,
    Pruned,
    Redacted,
    Restored,
)

__all__ = ["Durability", "LogStore"]

Durability: TypeAlias = Literal["fsync", "interval", "os"]
"""What an append waits for, as explained at `LogStore`: `"fsync"` until it would survive a power cut, the others for
nothing.
"""

T = TypeVar("T")

_SEGMENT_BYTES: Final = 64 * 1024 * 1024
_PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024


class LogStore(LocalLog):
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
        keys_for: how long a key counts as used, at least a day; None: forever.
        archive: where the archived part of the log is, if it has been moved or needs credentials; see `archive`. None:
            where the store says.
        analytics: at most this many bytes for the files that SQL keeps beside the log, to answer faster. 0: none are
            written or used. None: no limit.
        compress: whether log files are compressed in the background once they are no longer written to, by a thread of
            low priority; see `compress`. One program with this option is enough; several take turns.

    Raises:
        StoreFormatError: there is something else at `path`, or a store of a newer format.
        StoreCorruptError: the store is damaged in a place that no torn write explains; `verify_path` says more.
        StoreError: the directory cannot be read, written or created.
        ValidationError: an option is not valid.
    """

    __slots__ = ("_analytics", "_keeping", "_reactions")

    _analytics: int | None
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
        keys_for: timedelta | None = None,
        archive: str | os.PathLike[str] | None = None,
        analytics: int | None = None,
        compress: bool = False,
    ) -> None:
        keeping = Keeping(keys_for)
        analytics = arguments.optional_count("analytics", analytics)
        log = Log.open(
            arguments.directory(path),
            None if durability is None else arguments.one_of("durability", durability, ("fsync", "interval", "os")),
            arguments.milliseconds("flush_interval", flush_interval),
            arguments.count("segment_bytes", segment_bytes),
            arguments.count("payload_max_bytes", payload_max_bytes),
            arguments.flag("read_only", read_only),
            arguments.flag("create", create),
            _address(archive),
            arguments.flag("compress", compress),
        )
        self._begin(log)
        self._keeping, self._analytics = keeping, analytics
        if not read_only:
            self._refuse_moved()
        if not read_only and (system := self._log.copies_on_write) is not None:
            warnings.warn(
                f"{self.path} is on {system}, which writes changed data to a new place: if the disk fills"
                " up, a process that appends can end with SIGBUS instead of an error; put the store on ext4 or XFS, or"
                " make sure that there is always room",
                RuntimeWarning,
                stacklevel=2,
            )

    @classmethod
    def memory(
        cls,
        *,
        segment_bytes: int = _SEGMENT_BYTES,
        payload_max_bytes: int = _PAYLOAD_BYTES_MAX,
        keys_for: timedelta | None = None,
    ) -> Self:
        """The same engine in this process's memory, gone when closed: for tests, and for trying things out."""
        store, keeping = cls.__new__(cls), Keeping(keys_for)
        log = Log.memory(
            arguments.count("segment_bytes", segment_bytes),
            arguments.count("payload_max_bytes", payload_max_bytes),
        )
        store._begin(log)
        store._keeping = keeping
        return store

    @classmethod
    def copied_into(
        cls, path: str | os.PathLike[str], *, durability: Durability | None = "os", create: bool = True
    ) -> Self:
        """A log that another store is copied into, for the framework; it may be one whose store was moved away."""
        store = cls.__new__(cls)
        store._begin(Log.open(arguments.directory(path), durability, 100, _SEGMENT_BYTES, 2**62, False, create))
        return store

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
        condition: Condition | None = None,
        meta: Meta | None = None,
        key: str | None = None,
    ) -> Appended:
        """Append `events` to `stream` as one commit, all or nothing.

        Args:
            stream: the stream's name, 1 to 512 bytes, without NUL or newline.
            events: at least one: events, or a name, encoded JSON and, if it has any, tags: `(name, data, tags)`.
            expected_version: the version that the stream must be at, 0 for a new one; None does not check.
            condition: which events must not be there after a position.
            meta: why it happened; one for the whole commit.
            key: append once: if this key was used before, nothing is appended, and the first answer is returned.

        Returns:
            the first and last version and position of what was appended.

        Raises:
            ConcurrencyError: the stream is at another version; nothing was written.
            KeyReusedError: the key was used before, for other events; nothing was written.
            ConditionError: an event that the condition excludes is there; nothing was written.
            StoreFullError: there is no room; nothing was written.
            OutcomeUnknownError: something failed after it was written, so it may be there or not.
            StoreFailedError: a write or a flush failed, now or before; close the store and open it again.
        """
        if meta is not None or condition is not None or key is not None:
            try:
                return self._append_with((stream, _encoded(events), expected_version), condition, meta, key)
            except (ValidationError, TypeError, LookupError):  # as below
                return self._append_with(part(stream, events, expected_version), condition, meta, key)
        try:
            if type(events[0]) is tuple:
                return self._log.append(stream, events, expected_version)  # type: ignore[arg-type]
            encoded = [encode(event) for event in events]  # type: ignore[arg-type]
            return self._log.append(stream, encoded, expected_version)
        except (ValidationError, TypeError, LookupError):
            # Pairs and events are mixed, which is fine, or an argument is wrong, and then one of these says which.
            pairs = part(stream, events, expected_version)
        return self._log.append(*pairs)

    def append_many(
        self,
        appends: Sequence[Append],
        *,
        expected_versions: Mapping[str, int] | None = None,
        condition: Condition | None = None,
        meta: Meta | None = None,
        key: str | None = None,
    ) -> list[Appended]:
        """Append to several streams as one commit, all or nothing; each may expect a version and have a condition.

        Args:
            appends: what to append to which stream.
            expected_versions: the versions that other streams, which are not written to, must be at; 0: no such stream.
            condition: which events must not be there after a position.
            meta: why it happened; one for the whole commit.
            key: append once: if this key was used before, nothing is appended, and the first answer is returned.

        Returns:
            for each of `appends`, in their order, where its events are.

        Raises:
            ConcurrencyError: a stream is at another version than expected; nothing was written.
            KeyReusedError: the key was used before, for other events; nothing was written.
            ConditionError: an event that a condition excludes is there; nothing was written.
            StoreFullError: there is no room; nothing was written.
            OutcomeUnknownError: something failed after it was written, so it may be there or not.
            StoreFailedError: a write or a flush failed, now or before; close the store and open it again.
        """
        if key is not None:
            return self._append_once(parts_of(appends), key, meta, guards_of(expected_versions, condition, appends))
        cause = None if meta is None else cause_of(meta)
        versions = versions_in(expected_versions)
        try:
            # What is wrong with one is the core's to notice.
            parts = [
                (
                    each.stream,
                    each.events if type(each.events[0]) is tuple else _encoded(each.events),
                    each.expected_version,
                )
                for each in appends
            ]
            return self._log.append_many(parts, cause, versions, conditions_in(condition, appends))  # type: ignore[arg-type]
        except (ValidationError, TypeError, LookupError, AttributeError):
            # As in `append`: one of these says which argument is wrong, if one is.
            checked = parts_of(appends)
        return self._log.append_many(checked, cause, versions, conditions_in(condition, appends))

    def flush(self) -> None:
        """Return when everything appended so far would survive a power cut, whatever the store's durability."""
        self._log.flush()

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
        place, in one step. If anything fails before that, the store stays as it was. Afterwards the store has another
        id and no snapshots, and reactions start again. Anything still running on this handle (queries, waits) ends with
        `StoreClosedError`.

        Args:
            source: a file whose name ends in .jsonl, .csv or .parquet, or a folder of Parquet files, with the columns
                that `export` writes. Stream, name and data are required; position, commit, version, created and meta
                may be left out.
            replace: also replace a store that holds events. They are gone afterwards.
            dry_run: only check the source.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            RestoreError: the source is damaged or is something else; the error says where.
            StoreLockedError: another process has the store open.
            StoreFullError: there is no room for a second log.
            OutcomeUnknownError: the new log is in its place, but may not survive a power cut.
            ValidationError: there is no such source, the store holds events and `replace` was not asked for, or this
                handle is read-only.
        """
        from act_fast.stores.log.restore import check_empty, check_source, restore_into

        path, replace = check_source(source), arguments.flag("replace", replace)
        if arguments.flag("dry_run", dry_run):
            return restore_into(Restoring.rehearsal, path, progress)
        if not replace and not self._log.is_replica:
            check_empty(self)  # before it is let go of, which ends what is running
        return self._replaced(lambda: restore_into(lambda: self._log.restoring(replace), path, progress))

    def redact(
        self,
        positions: Iterable[int],
        *,
        reason: str,
        fields: Mapping[str, Any] | None = None,
        drop: bool = False,
        check: Callable[[Committed[bytes], bytes], object] | None = None,
        meta: Meta | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Redacted:
        """Replace data that should never have been written, and leave no byte of it in the store's files.

        A new log is written beside the old one, read back and flushed, and takes its place in one step; if anything
        fails before that, the store stays as it was. Positions, versions, times, tags, meta and names stay. Snapshots
        that may hold what was redacted are removed, and everything derived from the log is rebuilt. An event
        `$redacted` in the stream `$rewritings` keeps the reason, the positions, and in its meta who did it. Anything
        still running on this handle ends with `StoreClosedError`.

        It does not reach backups, exports, copies, or what reactions have sent elsewhere.

        Args:
            positions: of the events.
            reason: why.
            fields: new values, by the names that the fields have in JSON. If an event has no such field, nothing is
                added. For an event that holds a state (`$closed`, `$restarted`), they are fields of that state.
            drop: remove all data: from then on, the event's data is the JSON text `"redacted"`, and it is left out
                wherever events are folded or handled.
            check: called with each event that gets new data, and that data; if it raises, nothing is changed. An app
                checks that the event's class can read it.
            meta: who does it, and why.
            dry_run: only report what would be changed.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            StoreLockedError: another handle or process has the store open.
            StoreFullError: there is no room for a second log.
            OutcomeUnknownError: the new log is in its place, but may not survive a power cut.
            ValidationError: there is no such event, the new data is not valid, or this handle is read-only.
        """
        from act_fast.stores.log.rewriting import redaction

        replaced, told, found = redaction(self._log, positions, fields, arguments.flag("drop", drop), reason, check)
        if arguments.flag("dry_run", dry_run) or not replaced:
            return found
        note = (*told, b"" if meta is None else cause_of(meta))
        done = self._replaced(lambda: self._log.redact(replaced, note, progress))
        return Redacted(found.positions, found.streams, found.held, *done[1:])

    def prune(
        self,
        *,
        streams: str | None = None,
        upto: int | None = None,
        meta: Meta | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Pruned:
        """Empty the events below the one that closed their stream's books and holds its state.

        They keep their positions, versions, names and times; their data is the JSON text `"pruned"` from then on.
        Events with tags stay as they are, since decisions across streams rely on them. It works like `redact`; an event
        `$pruned` in the stream `$rewritings` records it.

        Args:
            streams: only streams whose names match this regular expression anywhere.
            upto: nothing above this position.
            meta: who does it, and why.
            dry_run: only report what would be emptied.
            progress: called now and then with (done, in all); if it raises, the work ends.

        Raises:
            StoreLockedError: a reaction has yet to handle some of it, or another handle or process has the store open.
            StoreFullError: there is no room for a second log.
            OutcomeUnknownError: the new log is in its place, but may not survive a power cut.
            ValidationError: an argument is not valid, or this handle is read-only.
        """
        from act_fast.stores.log.rewriting import check_behind, pruned, pruning

        what = pruning(streams, upto)
        found = self._log.prunable(what, progress)
        if arguments.flag("dry_run", dry_run) or not found[2]:
            return pruned(found)
        check_behind(found, self.reactions)
        what = (what[0], what[1], found[2])  # what comes above has not been looked at
        note = (REWRITINGS, "$pruned", b"" if meta is None else cause_of(meta))
        done = self._replaced(lambda: self._log.prune(what, note, progress))
        if done is None:
            return pruned(found)
        (names, of_streams, last, _), rewritten = done
        return pruned((names, of_streams, last, found[3]), rewritten)  # those that stay may come above what was pruned

    def _replaced(self, replace: Callable[[], T]) -> T:
        """Let go of the store while another log takes the place of this one."""
        begun: list[None] = []  # whether this handle has let go of the store, be it this very moment

        def let_go() -> None:
            begun.append(None)
            self._close_reactions()
            self._see_off_guests()

        try:
            self._log.release(let_go)
            return replace()
        finally:
            if begun:
                self._log.reopen()

    def reactions(self) -> ReactionPort:
        """The store's record of reactions, opened for one program: targets, leases, and their pending work.

        It is closed with the store. Apps do all this themselves; use it to look at a store without an app.

        Raises:
            ValidationError: this is the replica of a store on several machines.
        """
        if self._log.is_replica:
            raise ValidationError(
                f"{self.path} is the replica of a store on several machines, whose reactions belong to all of them;"
                " open the store by its address"
            )
        found = LogReactions(self._log)
        self._reactions.add(found)
        return found

    def pinned(self) -> "LogStore | None":
        """The same store, for as long as its log is this one; see `pinned_to_log`. For the framework."""
        if type(self) is not LogStore:
            return None  # what it has overridden would be lost
        found = LogStore.__new__(LogStore)
        found._log, found._news, found._reactions = self._log.pin(), self._news, self._reactions
        found._keeping, found._guests, found._analytics = self._keeping, self._guests, self._analytics
        return found

    def rows(self) -> Rows | None:
        """The core's own rows, for the framework. None in a subclass, whose verbs may do more than the core's."""
        return self._log if type(self) is LogStore else None

    def keys(self) -> Keys | None:
        """Appending once, for the framework. None in a subclass, as `rows`."""
        return _LogKeys(self._log, self._keeping) if type(self) is LogStore else None

    def replay_groups(self) -> ReplayGroups | None:
        """The core's own replay, for the framework. None in a subclass, as `rows`."""
        return self._log if type(self) is LogStore else None

    def analytics_max(self) -> int | None:
        """At most this many bytes for the files of SQL, for the framework; None: no limit."""
        return self._analytics

    def transfer(self) -> Transfer:
        """Copies everything that the store holds, out and in, unchanged; for the framework."""
        from act_fast.stores.log.transfer import LogTransfer

        return LogTransfer(self._log)

    def close(self) -> None:
        """Release the store. Closing again does nothing; any other call raises `StoreClosedError` from now on."""
        try:
            self._close_reactions()
        finally:
            super().close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r}, durability={self.durability!r})"

    def _append_with(
        self, given: ProposedPart, condition: Condition | None, meta: Meta | None, key: str | None
    ) -> Appended:
        if key is not None:
            guards = None if condition is None else guards_of(None, condition)
            return self._append_once([given], key, meta, guards)[0]
        cause = None if meta is None else cause_of(meta)
        return self._log.append(*given, cause, None if condition is None else conditions_in(condition))

    def _append_once(
        self, parts: Sequence[ProposedPart], key: str, meta: Meta | None, guards: Guards | None
    ) -> list[Appended]:
        try:
            return self._keeping.append(self._log, parts, key, b"" if meta is None else cause_of(meta), guards)
        except Repeated as repeated:
            return append_once(self, key, parts, repeated)

    def _begin(self, log: Log) -> None:
        super()._begin(log)
        self._keeping, self._analytics = Keeping(None), None
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


class _LogKeys:
    """Appending once to a log: see `Keys`."""

    def __init__(self, log: Log, keeping: Keeping) -> None:
        self._log = log
        self._keeping = keeping

    def used(self, key: str) -> tuple[int, int] | None:
        """The positions of the first and the last event of the commit that a key was used for; None without one."""
        return self._keeping.used(self._log, key)

    def append(
        self, parts: Sequence[ProposedPart], key: str, meta: bytes, guards: Guards | None = None
    ) -> list[Appended]:
        """Append several parts as one commit, under a key."""
        return self._keeping.append(self._log, parts, key, meta, guards)


def _encoded(events: Sequence[NewEvent]) -> Sequence[EventPair]:
    """Events as the core takes them, if they are all of one kind."""
    if type(events[0]) is tuple:
        return events  # type: ignore[return-value]
    return [encode(event) for event in events]  # type: ignore[arg-type]


def _address(archive: str | os.PathLike[str] | None) -> str | None:
    """Where an archive is, as the core takes it."""
    if archive is None:
        return None
    from act_fast.stores.log.shelf import archive_address

    return archive_address(archive)
