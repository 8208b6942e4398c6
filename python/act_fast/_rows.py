"""The shapes of the tuples that cross the boundary to the core."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias, TypedDict

Row: TypeAlias = tuple[int, str, int, str, int, bytes, bytes, tuple[str, ...]]
"""position, stream, version, name, created in µs since 1970 UTC, data (JSON), meta (JSON, b"" when there is none) and
tags"""

CommitRow: TypeAlias = tuple[int, int, str, int, str, int, bytes, bytes, tuple[str, ...]]
"""a `Row` with the position of the first event of its commit behind its own position"""

EventColumns: TypeAlias = tuple[
    int | list[int],
    str | list[str],
    int | list[int],
    list[str],
    list[datetime],
    list[bytes],
    list[bytes] | None,
    list[tuple[str, ...]] | None,
]
"""positions, streams, versions, names, moments, data, metas and tags of some events: positions or versions that go up
by one as the first of them, a stream that all have as that one, metas and tags as None where no event has any"""

StreamRow: TypeAlias = tuple[str, int, int, int, int, int, str]
"""stream, version, first position, last position, first created µs, last created µs, name of the last event"""

EventPair: TypeAlias = tuple[str, bytes] | tuple[str, bytes, Sequence[str]]
"""an event to append: name, data (JSON), and its tags if it has any"""

ProposedPart: TypeAlias = tuple[str, Sequence[EventPair], int | None]
"""stream, its events, and the version expected, None for any"""

Proposal: TypeAlias = tuple[int, bytes, Sequence[ProposedPart]]
"""created in µs since 1970 UTC, meta (JSON, b"" when there is none), parts"""

ItemRow: TypeAlias = tuple[Sequence[str], Sequence[str]]
"""an item of a query: names, any of which will do, and tags, all of which it takes"""

ConditionRow: TypeAlias = tuple[Sequence[ItemRow], int]
"""the items of which no event may match any, and the position behind which"""

OnceRow: TypeAlias = tuple[str, int]
"""a key, and the time in µs since 1970 UTC since when its uses count"""

GuardedProposal: TypeAlias = tuple[
    int, bytes, Sequence[ProposedPart], Sequence[tuple[str, int]], Sequence[ConditionRow], OnceRow | None
]
"""the same with versions of streams that must hold, conditions: items, each (names, tags), and a position; and a key"""

JoinedRow: TypeAlias = tuple[int, int, str, int, str, int, bytes, bytes, str | None]
"""a `CommitRow` of a database, whose tags are one text with line breaks between them, None without tags"""

RecordRow: TypeAlias = tuple[int, str, bytes, int, int, bytes]
"""a record of an ordered log: place, kind, session, its number in the session, the log's time in ms since 1970, body"""

RewrittenRow: TypeAlias = tuple[int, int, int, int, int]
"""a log that was rewritten: events changed, snapshots left out, bytes before, bytes after, where that is told"""

PruningRow: TypeAlias = tuple[Sequence[str], str | None, int | None]
"""what may be pruned: names of events that hold a state, pattern of streams, the last position"""

PrunableRow: TypeAlias = tuple[list[tuple[str, int, int]], int, int, int]
"""what there is to prune: event names with events and bytes, streams, position of the last, tagged events that stay"""

Progress: TypeAlias = Callable[[int, int], object]
"""called now and then with (done, in all); the verb's documentation says what is counted: bytes, events, positions or
rows
"""


TargetTally: TypeAlias = tuple[
    int | None,
    list[int],
    int,
    int,
    int | None,
    list[int],
    list[int],
    list[tuple[str, list[int], int]],
    list[tuple[bool, int, str]],
]
"""targets added up: where to go on or None, how many are in each state, lag, leading, lagging or None, how many without
work stand in each part of the log, how many with work, (reaction, states, lag), (blocked or not, lag, name); states
are blocked, leased, waiting, behind, caught up"""


class Filter(TypedDict, total=False):
    """Which events are meant: those that meet every condition. None is no condition; bounds are exclusive."""

    stream: str | None
    pattern: str | None
    names: Sequence[str] | None
    tags: Sequence[str] | None
    items: Sequence[ItemRow] | None
    after: int | None
    before: int | None
    created_after_us: int | None
    created_before_us: int | None
    correlation: str | None
