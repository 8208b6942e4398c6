"""A store in a database: the verbs of the protocol, each a statement or a few pages."""

import asyncio
import concurrent.futures
import contextlib
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import TracebackType
from typing import Any, Final, Generic, LiteralString, Self, TypeVar, Unpack

import msgspec

from act_fast._checks import arguments
from act_fast._checks.moments import moment
from act_fast._core import Appended, Pattern, check_commit, check_guards, check_name
from act_fast._events.committed import Committed
from act_fast._events.meta import Meta
from act_fast._rows import Progress, ProposedPart, Row, StreamRow
from act_fast.errors import StoreError, ValidationError
from act_fast.stores.append_condition import Condition
from act_fast.stores.capabilities import PAGE_ROWS, Encoded
from act_fast.stores.conditions import Conditions, filter_of, spelled_out
from act_fast.stores.database.connections import Connections
from act_fast.stores.database.keys import check_no_keys, keyed, used
from act_fast.stores.database.mirrored import MirroredReactions
from act_fast.stores.database.news import News
from act_fast.stores.database.queries import Bounds, load_each, load_page, query_of
from act_fast.stores.database.verify import verified
from act_fast.stores.database.writer import Request, Writer
from act_fast.stores.given import Guards, cause_of, guards_of, part, parts_of
from act_fast.stores.once import Keeping, Repeated, append_once
from act_fast.stores.pages import page_size, pages, pages_found
from act_fast.stores.rows import each_committed, stream_info
from act_fast.stores.values import Append, NewEvent, StoredSnapshot, StoreStats, StreamInfo, VerifyReport

__all__ = ["PAYLOAD_BYTES_MAX", "DatabaseKeys", "DatabaseRows", "DatabaseStore", "payload_max"]

C = TypeVar("C")

_UNCOUNTED_MAX: Final = 10_000
"""How many events `names` counts each time before it keeps what it has counted."""

PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024


class _Correlation(msgspec.Struct):
    """The part of a meta that commits are found by."""

    correlation: str | None = None


_correlation_of: Final = msgspec.json.Decoder(_Correlation).decode


class DatabaseStore(ABC, Generic[C]):
    """The verbs of a store, over statements that databases share and a few that each has of its own.

    Args:
        connections: to the database, in which the tables are there.
        news: of the log's head.
        writer: which appends.
        bounds: how the database finds between which positions or versions to look.
        payload_max_bytes: the largest data that an event may have.
        keeping: how long keys count as used.
    """

    def __init__(
        self,
        connections: Connections[C],
        news: News,
        writer: Writer[C],
        bounds: Bounds,
        payload_max_bytes: int,
        keeping: Keeping,
    ) -> None:
        self._connections = connections
        self._news = news
        self._writer = writer
        self._bounds = bounds
        self._payload_max_bytes = payload_max_bytes
        self._keeping = keeping
        self._closing: weakref.WeakSet[MirroredReactions] = weakref.WeakSet()
        self._finalizer = weakref.finalize(self, _abandon, news, writer, connections)

    @abstractmethod
    def flush(self) -> None:
        """Return when everything appended so far would survive a power cut."""

    @abstractmethod
    def stats(self) -> StoreStats:
        """How much the store holds."""

    @abstractmethod
    def _count_names(self) -> None:
        """Keep how many events there are of each name."""

    @abstractmethod
    def _save_snapshot(self, stream: str, version: int, data: bytes) -> bool:
        """Keep a snapshot of a stream that has reached its version; whether it has."""

    @property
    def path(self) -> str:
        """The store's address, without user and password."""
        return str(self._connections.place)

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

        Concurrent appends by threads of this process go to the database together, in one round trip.

        Args:
            stream: the stream's name, 1 to 512 bytes, without NUL or newline.
            events: at least one: events, or a name and encoded JSON each, with tags if there are any.
            expected_version: the version that the stream must be at, 0 for a new one; None does not check.
            condition: which events must not be there after a position.
            meta: why it happened; one for the whole commit.
            key: append once: if this key was used before, nothing is appended, and the first answer is returned.

        Returns:
            the first and last version and position of what was appended.

        Raises:
            ConcurrencyError: the stream is at another version; nothing was written.
            ConditionError: an event that the condition excludes is there; nothing was written.
            KeyReusedError: the key was used before, for other events; nothing was written.
            StoreFullError: the database's disk is full; nothing was written.
            OutcomeUnknownError: the connection broke, and the database did not come back to say whether the events are
                there.
            StoreError: the database cannot be reached, or refuses; nothing was written.
        """
        parts = [part(stream, events, expected_version)]
        (appended,) = self._append(parts, meta, None if condition is None else guards_of(None, condition), key)
        return appended

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
            ConditionError: an event that a condition excludes is there; nothing was written.
            KeyReusedError: the key was used before, for other events; nothing was written.
            StoreFullError: the database's disk is full; nothing was written.
            OutcomeUnknownError: the connection broke, and the database did not come back to say whether the events are
                there.
            StoreError: the database cannot be reached, or refuses; nothing was written.
        """
        return self._append(parts_of(appends), meta, guards_of(expected_versions, condition, appends), key)

    def load(
        self, stream: str, *, after: int = 0, before: int | None = None, limit: int | None = None
    ) -> Iterator[Committed[bytes]]:
        """The events of one stream in order, with `after` < version < `before`, as the stream is now.

        A stream that does not exist has none. Pages are read as you ask for them, so memory use stays the same.
        """
        stream = self._stream(stream)
        after, before = arguments.count("after", after), arguments.optional_count("before", before)
        limit = arguments.optional_count("limit", limit)
        first = self._load(stream, after, before, page_size(limit))
        if first[1] is None:
            return each_committed(first[0])
        end = self.version(stream) + 1  # what is appended while the pages are read is not for this reader
        end = end if before is None else min(before, end)
        found = pages(first, limit, lambda where, size: self._load(stream, where, end, size))
        return each_committed(chain.from_iterable(found))

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

        Pages are read as you ask for them, so memory use stays the same however many there are. `stream`, `names`,
        tags and `correlation` are found by an index, times by bisection; with a `pattern`, every event between the
        bounds is read.

        Args:
            names: only events with one of these names; an empty sequence gives nothing.
            limit: at most this many.
            backwards: from the last to the first.
            conditions: which events, as `Conditions` lists them.
        """
        limit = arguments.optional_count("limit", limit)
        found = query_of(
            self._connections, self._bounds, filter_of(conditions, names), arguments.flag("backwards", backwards)
        )
        return each_committed(chain.from_iterable(pages_found(found, limit)))

    @property
    def head(self) -> int:
        """The position of the last event; 0 if there are none."""
        return int(self._one("select position from {schema}.log")[0])

    def version(self, stream: str) -> int:
        """The number of events in `stream`; 0 if there is no such stream."""
        found = self._ask("select version from {schema}.streams where stream = %s", self._stream(stream))
        return int(found[0][0]) if found else 0

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
        found_in = None if pattern is None else Pattern(arguments.text("pattern", pattern)).found_in
        after = None if after is None else self._stream(after, "after")
        head, begin = self._one(
            "select position, (select first_position from {schema}.streams where stream = %s) from {schema}.log", after
        )
        if after is not None and begin is None:
            raise ValidationError(f"there is no stream {after!r} to continue after")

        def page(where: int, size: int) -> tuple[list[StreamRow], int | None]:
            asked = size if found_in is None else PAGE_ROWS
            rows: list[Any] = self._ask(
                "select stream, version, first_position, last_position, first_us, last_us, last_name"
                " from {schema}.streams where first_position > %s and first_position <= %s"
                " order by first_position limit %s",
                where, head, asked,
            )  # fmt: skip
            more = len(rows) == asked
            last = rows[-1][2] if rows else where
            if found_in is not None:
                rows = [row for row in rows if found_in(row[0])]
                if len(rows) > size:
                    rows, more = rows[:size], True
                    last = rows[-1][2]
            return rows, last if more else None

        size = page_size(limit)
        first = page(begin or 0, size) if size else ([], None)
        return map(stream_info, chain.from_iterable(pages(first, limit, page)))

    def names(self) -> dict[str, int]:
        """How many events there are of each name."""
        found = self._ask(
            f"select name, cast(sum(count) as {self._connections.integer}),"
            " (select position from {schema}.log) - (select position from {schema}.counted)"
            " from (select name, count from {schema}.names union all"
            " select name, count(*) from {schema}.events where position > (select position from {schema}.counted)"
            " group by name) as counts group by name"
        )
        if found and found[0][2] > _UNCOUNTED_MAX:
            with contextlib.suppress(StoreError):  # a role may be allowed to read alone
                self._count_names()
        return {name: count for name, count, _ in found}

    def save_snapshot(self, stream: str, version: int, data: bytes) -> None:
        """Keep `data` as the state of `stream` at `version`. It takes up neither a version nor a position.

        Args:
            stream: a stream that has reached `version`.
            version: the version at which the state stands, from 1.
            data: the state, encoded as you like.
        """
        if not isinstance(data, bytes):
            raise ValidationError(f"a snapshot's data must be bytes, not {type(data).__name__}")
        stream, version = self._stream(stream), arguments.count("version", version)
        saved = version and self._save_snapshot(stream, version, data)
        if not saved:
            raise ValidationError(
                f"a snapshot of stream {stream!r} at version {version} is impossible: the stream is at version"
                f" {self.version(stream)}"
            )

    def latest_snapshot(self, stream: str, *, at_or_below: int | None = None) -> StoredSnapshot | None:
        """The snapshot of `stream` at the highest version, or the highest up to `at_or_below`; None without one."""
        found = self._latest_snapshot(self._stream(stream), arguments.optional_count("at_or_below", at_or_below))
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
        after = arguments.count("after", after)
        seconds = None if timeout is None else arguments.milliseconds("timeout", timeout) / 1000
        head = self.head
        if head > after or seconds == 0:
            return head
        future: concurrent.futures.Future[int] = concurrent.futures.Future()
        with self._news.above(after, future), contextlib.suppress(concurrent.futures.TimeoutError):
            return future.result(seconds)
        return self.head

    async def wait_async(self, after: int, timeout: float | None = None) -> int:
        """`wait`, awaited. However many tasks wait, one thread sleeps for them all; cancelling is harmless."""
        after = arguments.count("after", after)
        seconds = None if timeout is None else arguments.milliseconds("timeout", timeout) / 1000
        head = await asyncio.to_thread(lambda: self.head)
        if head > after or seconds == 0:
            return head
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with self._news.above(after, future):
            await asyncio.wait((future,), timeout=seconds)
        return future.result() if future.done() else await asyncio.to_thread(lambda: self.head)

    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Read everything, check everything else against the events, and report what is wrong and where.

        Args:
            progress: called now and then with (positions done, positions in all).
        """
        return verified(self._connections, self._bounds, progress)

    def close(self) -> None:
        """Release the store. Closing again does nothing; any other call raises `StoreClosedError` from now on."""
        if self._connections.closed:
            return
        self._finalizer.detach()
        for reactions in tuple(self._closing):
            reactions.close()
        try:
            self._news.close()
        finally:
            self._connections.close()
            self._writer.close()  # last, since who is appending just now may have made its connection

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._connections.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    def _append(
        self, parts: Sequence[ProposedPart], meta: Meta | None, guards: Guards | None, key: str | None
    ) -> list[Appended]:
        cause = b"" if meta is None else cause_of(meta)
        correlation = None if meta is None else meta.correlation
        if key is None:
            return self._append_encoded(parts, cause, correlation, guards)
        try:
            return self._append_keyed(parts, key, cause, correlation, guards)
        except Repeated as repeated:
            return append_once(self, key, parts, repeated)

    def _append_keyed(
        self, parts: Sequence[ProposedPart], key: str, meta: bytes, correlation: str | None, guards: Guards | None
    ) -> list[Appended]:
        """Append under a key.

        Raises:
            Repeated: it was used before.
        """
        once = self._keeping.once(key)
        try:
            versions, conditions, _ = guards or ((), (), None)
            return self._append_encoded(parts, meta, correlation, (versions, conditions, once))
        except Repeated as repeated:
            raise Repeated(*(used(self._connections, once) or (repeated.first, repeated.last))) from None

    def _append_encoded(
        self, parts: Sequence[ProposedPart], meta: bytes, correlation: str | None, guards: Guards | None = None
    ) -> list[Appended]:
        check_commit(parts, meta, self._payload_max_bytes)
        check_no_keys(parts)
        versions, conditions, once = guards or ((), (), None)
        if versions or conditions:
            check_guards(versions, conditions)
        if once is not None:
            parts = keyed(parts, once)
        found = None if correlation is None else correlation.encode()
        return self._writer.append(Request(parts, meta, found, versions, conditions, once))

    def _load(self, stream: str, after: int, before: int | None, limit: int) -> tuple[list[Row], int | None]:
        if not limit:
            return [], None
        rows, more = load_page(self._connections, stream, after, before, limit)
        return rows, rows[-1][2] if more else None

    def _latest_snapshot(
        self, stream: str, at_or_below: int | None, beginning: bytes = b""
    ) -> tuple[int, int, bytes] | None:
        found: list[Any] = self._ask(
            "select version, created_us, data from {schema}.snapshots where stream = %s and version <= %s"
            " and substring(data from 1 for %s) = %s order by version desc limit 1",
            stream, 2**63 - 1 if at_or_below is None else at_or_below, len(beginning), beginning,
        )  # fmt: skip
        return found[0] if found else None

    def _stream(self, stream: str, what: str = "stream") -> str:
        found = arguments.text(what, stream)
        check_name("stream", found)
        return found

    def _ask(self, question: LiteralString, *given: Any) -> list[tuple[Any, ...]]:
        return self._connections.ask(question, *given)

    def _one(self, question: LiteralString, *given: Any) -> tuple[Any, ...]:
        (row,) = self._ask(question, *given)
        return row


class DatabaseKeys:
    """Appending once to a store in a database: see `Keys`."""

    def __init__(self, store: DatabaseStore[Any]) -> None:
        self._store = store

    def used(self, key: str) -> tuple[int, int] | None:
        """The positions of the first and the last event of the commit that a key was used for; None without one."""
        return used(self._store._connections, self._store._keeping.once(key))

    def append(
        self, parts: Sequence[ProposedPart], key: str, meta: bytes, guards: Guards | None = None
    ) -> list[Appended]:
        """Append several parts as one commit, under a key."""
        return self._store._append_keyed(parts, key, meta, _correlation_in(meta), guards)


class DatabaseRows:
    """The store as rows: what `do` and `load` are made of. The arguments have been checked."""

    distant: Final = True

    def __init__(self, store: DatabaseStore[Any]) -> None:
        self._store = store

    def load(
        self, stream: str, after: int = 0, before: int | None = None, limit: int = PAGE_ROWS
    ) -> tuple[list[Row], int | None]:
        """A page of a stream's events, and where to go on."""
        return self._store._load(self._store._stream(stream), after, before, limit)

    def load_each(self, streams: Sequence[str], limit: int) -> dict[str, list[Row]]:
        """The events of several streams, each whole: of as many as fit into a page."""
        return load_each(self._store._connections, streams, limit)

    def append(
        self,
        stream: str,
        events: Sequence[Encoded],
        expected_version: int | None = None,
        meta: bytes | None = None,
    ) -> Appended:
        """Append events as one commit."""
        cause = meta or b""
        (appended,) = self._store._append_encoded([(stream, events, expected_version)], cause, _correlation_in(cause))
        return appended

    def version(self, stream: str) -> int:
        """The number of events in a stream."""
        return self._store.version(stream)

    def latest_snapshot(
        self, stream: str, at_or_below: int | None = None, beginning: bytes | None = None
    ) -> tuple[int, int, bytes] | None:
        """The latest snapshot of a stream whose data has this beginning."""
        return self._store._latest_snapshot(self._store._stream(stream), at_or_below, beginning or b"")


def _correlation_in(meta: bytes) -> str | None:
    return _correlation_of(meta).correlation if meta else None


def payload_max(payload_max_bytes: int) -> int:
    """The largest data that an event may have, as it was given.

    Raises:
        ValidationError: it is none.
    """
    if not arguments.count("payload_max_bytes", payload_max_bytes):
        raise ValidationError("payload_max_bytes must be at least 1")
    return payload_max_bytes


def _abandon(news: News, writer: Writer[Any], connections: Connections[Any]) -> None:
    news.abandon()
    writer.abandon()
    connections.close()
