"""The few verbs of a store that `do` and `load` are made of, as rows; straight from the core where it is ours."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, Protocol, TypeAlias

from act_fast._core import Appended
from act_fast._events.meta import decode_meta, encode_meta
from act_fast._rows import Row
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Committed, Store

__all__ = ["Encoded", "Port", "pages_of", "port_to"]

Encoded: TypeAlias = tuple[str, bytes]
"""An event's stored name and its data as JSON."""

PAGE_ROWS: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Port(Protocol):
    """What a store offers to the framework. The arguments have been checked; rows are as the core gives them."""

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


def port_to(store: Store) -> Port:
    """The way into a store: the core's own methods for a `LogStore`, any other through the protocol."""
    if type(store) is LogStore:
        return store._log
    return _StorePort(store)


def pages_of(port: Port, stream: str, after: int, before: int | None) -> Iterator[list[Row]]:
    """The events of a stream with `after` < version < `before`, page by page; no page is empty."""
    following: int | None = after
    while following is not None:
        rows, following = port.load(stream, following, before, PAGE_ROWS)
        if rows:
            yield rows


class _StorePort:
    """Any store, seen as rows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.version = store.version

    def load(
        self, stream: str, after: int = 0, before: int | None = None, limit: int = PAGE_ROWS
    ) -> tuple[list[Row], int | None]:
        found = self._store.load(stream, after=after, before=before, limit=limit)
        rows = [_row(each) for each in islice(found, limit)]
        return rows, rows[-1][2] if len(rows) == limit else None

    def append(
        self,
        stream: str,
        events: Sequence[Encoded],
        expected_version: int | None = None,
        meta: bytes | None = None,
    ) -> Appended:
        cause = None if meta is None else decode_meta(meta)
        return self._store.append(stream, events, expected_version=expected_version, meta=cause)


def _row(each: Committed[bytes]) -> Row:
    created_us = (each.created - _EPOCH) // _MICROSECOND
    return each.position, each.stream, each.version, each.name, created_us, each.data, encode_meta(each.meta)
