"""States kept in a file as of a position: of what was folded once, only streams that went on are folded again."""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import duckdb

from act_fast._sql.duckdb_database import close, new_writer, register
from act_fast._sql.log_scan import LogScan
from act_fast._sql.parts import background
from act_fast._sql.parts.builder import Build
from act_fast._sql.parts.manifest import LockedManifest, Series, read
from act_fast._sql.pushdown import Bounds
from act_fast._sql.state_scan import StateScan
from act_fast.stores.capabilities import PAGE_ROWS, analytics_max_of, columns_of
from act_fast.stores.port import Store

__all__ = ["FoldScan", "KeptStates", "kept_states"]

_FEW: Final = 100
"""So many streams are folded again without a second thought."""

_SHARE: Final = 20
"""Of so many streams one may have gone on; where there are more, folding all of them is as fast."""

_REBUILD_STREAMS: Final = 1000
_REBUILD_SHARE: Final = 200

FoldScan: TypeAlias = Callable[..., StateScan]
"""Makes a scan of the states as of a position: of all streams, or of those named; told, if given, hears of progress."""


class KeptStates(NamedTuple):
    """States as of an earlier position, and the streams that have changed since."""

    held: LockedManifest
    changed: list[str]


def kept_states(
    series: Series | None,
    store: Store,
    cut: int,
    connection: duckdb.DuckDBPyConnection,
    names: tuple[str, ...],
    fold: FoldScan,
    *,
    named: bool,
) -> KeptStates | None:
    """What is kept of the states as of a cut, if folding the rest pays; where writing them down does, that is begun.

    Args:
        series: where they are.
        store: where the events are.
        cut: the position.
        connection: reads which streams have changed.
        names: the stored names that are folded.
        fold: makes scans of the states.
        named: whether a question names them; if not, nothing is begun.
    """
    if series is None or analytics_max_of(store) == 0:
        return None
    held = read(series, store)
    if held is not None and held.manifest.upto > cut:
        return None
    if held is None:
        reader = columns_of(store)
        if (
            named
            and LogScan(reader, (("position", "position"),), Bounds(0, cut + 1, names)).width >= background.PART_EVENTS
        ):
            background.builds.ask(series, store, cut, StateBuild(series, store, fold))
        return None
    rows = sum(part.rows for part in held.manifest.parts)
    if held.manifest.failed > max(_FEW, rows // _SHARE):
        return None  # those are folded in any case
    changed = _changed(connection, store, held.manifest.upto, cut, rows)
    if named and (changed is None or len(changed) >= max(_FEW, min(_REBUILD_STREAMS, rows // _REBUILD_SHARE))):
        background.builds.ask(series, store, cut, StateBuild(series, store, fold))
    return None if changed is None else KeptStates(held, changed)


class StateBuild(Build):
    """The one file that holds the states of a class."""

    def __init__(self, series: Series, store: Store, fold: FoldScan) -> None:
        super().__init__(series, store)
        self._fold = fold

    def _extend(self, cut: int) -> int:
        held = read(self._series, self._store)
        if held is not None and held.manifest.upto >= cut:
            return cut

        def told(events: int) -> None:
            self._check_wanted()

        changed = None if held is None else self._changed_since(held, cut)
        if held is None or changed is None:
            part, failed = self._write(self._fold(cut, told=told), [], 0, cut, [])
        else:
            scan = self._fold(cut, streams=changed, told=told)
            part, failed = self._write(scan, [*held.manifest.parts], 0, cut, [], without=changed)
        if part is not None:
            self._publish(cut, failed, [part])
        return cut

    def _changed_since(self, held: LockedManifest, cut: int) -> list[str] | None:
        connection = new_writer()
        try:
            rows = sum(part.rows for part in held.manifest.parts)
            return _changed(connection, self._store, held.manifest.upto, cut, rows)
        finally:
            close(connection)


def _changed(connection: duckdb.DuckDBPyConnection, store: Store, after: int, upto: int, rows: int) -> list[str] | None:
    """The streams that have events after one position up to another; None where they are too many."""
    if after == upto:
        return []
    scan = LogScan(columns_of(store), (("stream", "stream"),), Bounds(after, upto + 1))
    if scan.width > background.PART_EVENTS:
        return None
    most = max(_FEW, rows // _SHARE)
    if scan.width <= PAGE_ROWS:
        page = columns_of(store).query(scan.bounds.for_log()).next_page(PAGE_ROWS) or []
        if len(page) == scan.width:
            return [*dict.fromkeys(row[1] for row in page)]
    register(connection, "what has changed", scan)
    asked = f'select distinct stream from "what has changed" limit {most + 1}'
    found = [stream for (stream,) in connection.execute(asked).fetchall()]
    connection.unregister("what has changed")
    return None if len(found) > most else found
