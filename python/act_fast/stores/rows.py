"""Events as rows: what `do` and `load` are made of, straight from the store where it offers them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice, repeat
from typing import Final

from act_fast._checks.moments import EPOCH, microseconds_of, moment
from act_fast._core import Appended
from act_fast._events.committed import Committed
from act_fast._events.meta import NO_META, Meta, decode_meta, encode_meta, meta_again
from act_fast._rows import EventColumns, Row, StreamRow
from act_fast.errors import StoreClosedError
from act_fast.stores.capabilities import PAGE_ROWS, Encoded, Rows, log_mark_of, rows_of
from act_fast.stores.port import Store
from act_fast.stores.values import StreamInfo

__all__ = ["REPLACED", "committed", "each_committed", "each_in", "pages_of", "port_to", "stream_info"]

REPLACED: Final = "the log was replaced by a restored or rewritten one since this was begun; start again"
_NO_METAS: Final = repeat(NO_META)
_NO_TAGS: Final = repeat(())


def stream_info(row: StreamRow) -> StreamInfo:
    """A stream, from its row."""
    stream, version, first_position, last_position, first_us, last_us, last_name = row
    return StreamInfo(stream, version, first_position, last_position, moment(first_us), moment(last_us), last_name)


def committed(row: Row) -> Committed[bytes]:
    """An event, from its row."""
    position, stream, version, name, created_us, data, meta, tags = row
    created = moment(created_us)
    return Committed(data, name, stream, version, position, created, decode_meta(meta), tags)


def each_committed(rows: Iterable[Row]) -> Iterator[Committed[bytes]]:
    """Events, from their rows. Those of one commit share its time, and of its meta what cannot change."""
    commit_us, created, commit_meta, why = 0, EPOCH, b"", NO_META
    for position, stream, version, name, created_us, data, meta, tags in rows:
        if created_us != commit_us:
            commit_us, created = created_us, moment(created_us)
        if not meta:
            why = NO_META
        elif meta is commit_meta:
            why = meta_again(meta, why)
        else:
            commit_meta, why = meta, decode_meta(meta)
        yield Committed(data, name, stream, version, position, created, why, tags)


def each_in(pages: Iterable[EventColumns]) -> Iterator[Committed[bytes]]:
    """Events, from pages of their columns. Each is made when it is asked for, and no bytecode is run for it."""
    return chain.from_iterable(map(_committed_in, pages))


def _committed_in(page: EventColumns) -> Iterator[Committed[bytes]]:
    positions, streams, versions, names, moments, data, metas, tags = page
    return map(
        Committed,
        data,
        names,
        repeat(streams) if isinstance(streams, str) else streams,
        count(versions) if isinstance(versions, int) else versions,
        count(positions) if isinstance(positions, int) else positions,
        moments,
        _NO_METAS if metas is None else _each_meta(metas),
        _NO_TAGS if tags is None else tags,
    )


def _each_meta(metas: Iterable[bytes]) -> Iterator[Meta]:
    commit_meta, why = b"", NO_META
    for meta in metas:
        if not meta:
            yield NO_META
            continue
        if meta is commit_meta:
            why = meta_again(meta, why)
        else:
            commit_meta, why = meta, decode_meta(meta)
        yield why


def port_to(store: Store) -> Rows:
    """The way into a store: its own rows where it offers them, else the verbs of the protocol."""
    return rows_of(store) or _StoreRows(store)


def pages_of(port: Rows, stream: str, after: int, before: int | None) -> Iterator[list[Row]]:
    """The events of a stream with `after` < version < `before`, page by page; no page is empty."""
    following: int | None = after
    while following is not None:
        rows, following = port.load(stream, following, before, PAGE_ROWS)
        if rows:
            yield rows


class _StoreRows:
    """Any store, seen as rows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mark = log_mark_of(store)

    def version(self, stream: str) -> int:
        self._check()
        return self._store.version(stream)

    def load(
        self, stream: str, after: int = 0, before: int | None = None, limit: int = PAGE_ROWS
    ) -> tuple[list[Row], int | None]:
        self._check()
        found = self._store.load(stream, after=after, before=before, limit=limit)
        rows = [_row(each) for each in islice(found, limit)]
        return rows, rows[-1][2] if len(rows) == limit else None

    def latest_snapshot(
        self, stream: str, at_or_below: int | None = None, beginning: bytes | None = None
    ) -> tuple[int, int, bytes] | None:
        self._check()
        while (found := self._store.latest_snapshot(stream, at_or_below=at_or_below)) is not None:
            if beginning is None or found.data.startswith(beginning):
                return found.version, microseconds_of(found.created), found.data
            at_or_below = found.version - 1
        return None

    def append(
        self,
        stream: str,
        events: Sequence[Encoded],
        expected_version: int | None = None,
        meta: bytes | None = None,
    ) -> Appended:
        self._check()
        cause = None if meta is None else decode_meta(meta)
        return self._store.append(stream, events, expected_version=expected_version, meta=cause)

    def _check(self) -> None:
        if self._mark is not None and self._mark.replaced:
            raise StoreClosedError(REPLACED)


def _row(each: Committed[bytes]) -> Row:
    created_us = microseconds_of(each.created)
    meta = encode_meta(each.meta)
    return each.position, each.stream, each.version, each.name, created_us, each.data, meta, each.tags
