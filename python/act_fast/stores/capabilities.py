"""What a store can do beyond the protocol: each capability is asked of the store, and may be lacking.

A store offers `rows`, `replay_groups`, `columns`, `transfer`, `pinned`, `log_mark`, `guests`, `analytics_max`, `keys`
and `clock` by a method of that name. Where the method is missing or answers None, the framework uses the verbs of the
protocol instead, or says that the store cannot do what was asked.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, TypeAlias
from weakref import WeakSet

from act_fast._core import Appended, Columns, Query, Replay, StreamColumns
from act_fast._rows import CommitRow, EventPair, Filter, ProposedPart, Row
from act_fast.errors import ValidationError
from act_fast.stores.conditions import Conditions, filter_of
from act_fast.stores.given import Guards
from act_fast.stores.port import Store

__all__ = [
    "PAGE_ROWS",
    "Clock",
    "ColumnReader",
    "Encoded",
    "Guest",
    "Keys",
    "LogMark",
    "ReplayGroups",
    "Rows",
    "SnapshotRow",
    "Take",
    "Transfer",
    "analytics_max_of",
    "clock_of",
    "columns_of",
    "cut",
    "is_copied",
    "is_distant",
    "keys_of",
    "load_each",
    "log_mark_of",
    "offers_columns",
    "pinned_to_log",
    "positions_in",
    "replay_groups_of",
    "rows_of",
    "stay_with",
    "store_id_of",
    "transfer_of",
]

Encoded: TypeAlias = EventPair
"""An event's stored name and its data as JSON, with its tags if it has any."""

PAGE_ROWS: Final = 1000
"""How many events a page has unless it is said otherwise."""


class Rows(Protocol):
    """Events as rows, in and out: what `do` and `load` are made of. The arguments have been checked."""

    def load(
        self, stream: str, after: int = 0, before: int | None = None, limit: int = PAGE_ROWS
    ) -> tuple[list[Row], int | None]:
        """A page of a stream's events with `after` < version < `before`, and where to go on, None at the end."""
        ...

    def append(
        self,
        stream: str,
        events: Sequence[Encoded],
        expected_version: int | None = None,
        meta: bytes | None = None,
    ) -> Appended:
        """Append events as one commit."""
        ...

    def version(self, stream: str) -> int:
        """The number of events in a stream."""
        ...

    def latest_snapshot(
        self, stream: str, at_or_below: int | None = None, beginning: bytes | None = None
    ) -> tuple[int, int, bytes] | None:
        """The latest snapshot of a stream whose data has this beginning: version, created in µs since 1970, data."""
        ...


class Keys(Protocol):
    """Appending once, under a key. The arguments have been checked."""

    def used(self, key: str) -> tuple[int, int] | None:
        """The positions of the first and the last event of the commit that a key was used for; None without one."""
        ...

    def append(
        self, parts: Sequence[ProposedPart], key: str, meta: bytes, guards: Guards | None = None
    ) -> list[Appended]:
        """Append several parts as one commit, under a key.

        Raises:
            Repeated: the key was used before; nothing was written.
        """
        ...


class Clock(Protocol):
    """The clock of a store whose time a test may move."""

    def now_us(self) -> int:
        """What time it is, in µs since 1970."""
        ...

    def advance(self, by_ms: int) -> None:
        """Move it forward, and wake all who wait for a time."""
        ...


class LogMark(Protocol):
    """A mark of the log that a store has at one time."""

    @property
    def replaced(self) -> bool:
        """Whether a restored log has taken its place since, or is about to."""
        ...


class Guest(Protocol):
    """What works on a log by itself, for as long as that is there."""

    def leave(self) -> None:
        """Stop at once: the log is about to be closed or replaced. Comes back when nothing more is done."""
        ...


class ReplayGroups(Protocol):
    """All streams in one pass, a group of them at a time, and positions by time."""

    def replay(
        self,
        names: Sequence[str],
        closing: str,
        cut: int,
        group_max: int,
        pattern: str | None = None,
        after: str | None = None,
    ) -> Replay:
        """Begin a replay: streams in which a pattern is found, after a stream, up to a cut, `group_max` at a time."""
        ...

    def position_before(self, created_us: int) -> int:
        """The last position created before a time, in µs since 1970; 0 when there is none."""
        ...


class ColumnReader(Protocol):
    """Events as Arrow columns: what SQL and Arrow are fed from."""

    @property
    def store_id(self) -> str:
        """What tells this store from all others."""
        ...

    @property
    def path(self) -> str:
        """Where the store is; `memory:` when it has no directory."""
        ...

    @property
    def head(self) -> int:
        """The position of the last event, 0 when there is none."""
        ...

    @property
    def archived_upto(self) -> int:
        """The position of the last event that is archived, 0 when none is: reading those may take the archive."""
        ...

    def columns(
        self,
        columns: Sequence[tuple[str, str | int]],
        shape: str | None = None,
        direct: set[str] | None = None,
        decoder: Any = None,
        filter: Filter | None = None,
    ) -> Columns:
        """Events as columns, each (its name, what it holds)."""
        ...

    def stream_columns(self, columns: Sequence[str], cut: int, streams: Sequence[str] | None = None) -> StreamColumns:
        """Streams as columns, as they were when the position `cut` was the last: all, or those that are named."""
        ...

    def query(self, filter: Filter | None = None, backwards: bool = False) -> Query:
        """Events, page by page."""
        ...


Take: TypeAlias = Callable[[list[CommitRow]], object]
"""Takes a page of whole commits."""

SnapshotRow: TypeAlias = tuple[str, int, bytes]
"""stream, version, data"""


class Transfer(Protocol):
    """All that a store holds, out and in as it stands: what copies are made of."""

    @property
    def store_id(self) -> str:
        """What tells this store from all others."""
        ...

    def standing(self, position: int) -> tuple[int, CommitRow | None]:
        """The head, and the event at a position if there is one."""
        ...

    def commits(self, after: int, upto: int) -> Iterator[list[CommitRow]]:
        """The events behind a position up to another, in order, in pages of whole commits."""
        ...

    def taking(self) -> AbstractContextManager[Take]:
        """What appends such pages as they stand, each event at its own position.

        At the end of the block they are there, and would survive a power cut. A database takes all of them or none.
        """
        ...

    def snapshots(self) -> Iterator[SnapshotRow]:
        """All snapshots, stream by stream in the order the streams came to be, each stream's in order of version."""
        ...

    def take_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        """Keep snapshots of versions that their streams have reached."""
        ...

    def reactions(self) -> bytes | None:
        """The record of reactions, which no one may work on, as lines of the core; None if there is nothing."""
        ...

    def take_reactions(self, lines: bytes) -> None:
        """Keep such lines in the place of all that was kept of reactions.

        Raises:
            ValidationError: the store keeps nothing of the kind.
        """
        ...

    def check_hands_over(self) -> None:
        """Refuse at once what `handing_over` would refuse in the end, however long one waits.

        Raises:
            ValidationError: nothing would keep others from appending; what to do instead.
        """
        ...

    def handing_over(self, to: str) -> AbstractContextManager[None]:
        """Keep everybody else from appending for as long as the block lasts, and for good if it ends without an error.

        Args:
            to: where the events are then, for those who would append.

        Raises:
            StoreLockedError: that cannot be done as long as other programs have the store open.
        """
        ...

    def taken_over(self) -> None:
        """Let programs append, also to a store that was handed over earlier."""
        ...


def rows_of(store: object) -> Rows | None:
    """The rows of a store; None when it offers none."""
    found: Rows | None = _asked(store, "rows")
    return found


def keys_of(store: object) -> Keys:
    """How a store appends once.

    Raises:
        ValidationError: it keeps no keys.
    """
    found: Keys | None = _asked(store, "keys")
    if found is None:
        raise ValidationError(f"{type(store).__name__} keeps no keys; use a LogStore, or do it without a key")
    return found


def trouble_of(store: object) -> str:
    """Why a store cannot take or show anything new just now; empty while all is well, and where a store never says."""
    return str(getattr(store, "trouble", ""))


def is_distant(rows: Rows) -> bool:
    """Whether each call is a round trip to a server, as the attribute `distant` of rows says; without it, it is not.

    Rows that are distant have `load_each` besides, which spares some.
    """
    return getattr(rows, "distant", False) is True


def load_each(rows: Rows, streams: Sequence[str], limit: int) -> dict[str, list[Row]]:
    """The events of several streams at once, each whole: of as many as rows that are distant give for one question."""
    if not is_distant(rows) or not streams:
        return {}
    found: dict[str, list[Row]] = rows.load_each(streams, limit)  # type: ignore[attr-defined]
    return found


def replay_groups_of(store: object) -> ReplayGroups | None:
    """How a store replays all streams in one pass; None when it cannot."""
    found: ReplayGroups | None = _asked(store, "replay_groups")
    return found


def columns_of(store: object) -> ColumnReader:
    """The columns of a store.

    Raises:
        ValidationError: it offers none.
    """
    found: ColumnReader | None = _asked(store, "columns")
    if found is None:
        raise ValidationError(
            f"SQL and Arrow read events as columns, which {type(store).__name__} does not offer; use a LogStore"
        )
    return found


def offers_columns(store: object) -> bool:
    """Whether a store gives its events as columns by itself."""
    return _asked(store, "columns") is not None


def is_copied(store: object) -> bool:
    """Whether a store says how it is copied."""
    return _asked(store, "transfer") is not None


def transfer_of(store: object) -> Transfer:
    """How a store is copied.

    Raises:
        ValidationError: it cannot be.
    """
    found: Transfer | None = _asked(store, "transfer")
    if found is None:
        raise ValidationError(
            f"{type(store).__name__} does not say how it is copied; use a store of act-fast's own, or give yours a"
            " method `transfer()`"
        )
    return found


def cut(log: ColumnReader, filter: Filter) -> Filter:
    """The same events, of the log as it is now, however often it is read."""
    end = log.head + 1
    before = filter.get("before")
    return {**filter, "before": end if before is None else min(before, end)}


def clock_of(store: object) -> Clock | None:
    """The clock that a test may move; None where time passes as it does on the machine."""
    found: Clock | None = _asked(store, "clock")
    return found


def pinned_to_log(store: Store) -> Store:
    """A store, for as long as its log is this one. The store itself where it does not tell its logs apart.

    Once a restored log has taken the place of this one, all that is asked of it is an error.
    """
    found: Store | None = _asked(store, "pinned")
    return store if found is None else found


def log_mark_of(store: object) -> LogMark | None:
    """A mark of the log that a store has now; None when it only ever has one."""
    found: LogMark | None = _asked(store, "log_mark")
    return found


def analytics_max_of(store: object) -> int | None:
    """At most so many bytes for the files that SQL keeps beside a store; None: as many as it takes."""
    found: int | None = _asked(store, "analytics_max")
    return found


def stay_with(store: object, guest: Guest) -> None:
    """Have a guest leave before the log of a store goes. It is held weakly; stores whose logs never go know of none."""
    host: WeakSet[Guest] | None = _asked(store, "guests")
    if host is not None:
        host.add(guest)


def positions_in(store: Store, names: Sequence[str], conditions: Conditions) -> Iterator[int]:
    """The positions of the events of some names that meet the conditions, in order."""
    log: ColumnReader | None = _asked(store, "columns")
    if log is None:
        yield from (event.position for event in store.query(names=names, **conditions))
        return
    asked = log.query(filter_of(conditions, names))
    while (page := asked.next_page(PAGE_ROWS)) is not None:
        yield from (row[0] for row in page)


def store_id_of(store: object) -> str:
    """What tells the log of a store from all others; empty where nothing does."""
    found: ColumnReader | None = _asked(store, "columns")
    return "" if found is None else found.store_id


def _asked(store: object, capability: str) -> Any:
    offered = getattr(store, capability, None)
    return offered() if callable(offered) else None
