"""What the core gives, as people see it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from act_fast._events.meta import Meta, decode_meta
from act_fast._rows import Row, StreamRow
from act_fast.stores.port import Committed, Problem, StoreStats, StreamInfo, VerifyReport

__all__ = ["committed", "each_committed", "moment", "store_stats", "stream_info", "verify_report"]

_from_timestamp: Final = datetime.fromtimestamp  # exact to the microsecond until the year 2242, and twice as fast


def moment(created_us: int) -> datetime:
    """A moment, from microseconds since 1970 UTC."""
    return _from_timestamp(created_us / 1e6, UTC)


def committed(row: Row) -> Committed[bytes]:
    """An event, from its row."""
    position, stream, version, name, created_us, data, meta = row
    created = _from_timestamp(created_us / 1e6, UTC)
    return Committed(data, name, stream, version, position, created, decode_meta(meta) if meta else Meta())


def each_committed(rows: Iterable[Row]) -> Iterator[Committed[bytes]]:
    """Events, from their rows. Those of one commit share its time and its meta, which is most of the work."""
    commit_us, commit_meta, created, why = None, None, None, None
    for position, stream, version, name, created_us, data, meta in rows:
        if created is None or why is None or created_us != commit_us or meta is not commit_meta:
            commit_us, commit_meta = created_us, meta
            created = _from_timestamp(created_us / 1e6, UTC)
            why = decode_meta(meta) if meta else Meta()
        yield Committed(data, name, stream, version, position, created, why)


def stream_info(row: StreamRow) -> StreamInfo:
    """A stream, from its row."""
    stream, version, first_position, last_position, first_us, last_us, last_name = row
    return StreamInfo(stream, version, first_position, last_position, moment(first_us), moment(last_us), last_name)


def verify_report(found: dict[str, Any]) -> VerifyReport:
    """What verifying found."""
    problems = [Problem(*problem) for problem in found["problems"]]
    return VerifyReport(
        events=found["events"],
        commits=found["commits"],
        snapshots=found["snapshots"],
        streams=found["streams"],
        bytes=found["bytes"],
        index_checked=found["index"] == "checked",
        problems=problems,
    )


def store_stats(found: dict[str, Any]) -> StoreStats:
    """How much a store holds."""
    flushed_at_ms = found["flushed_at_ms"]
    return StoreStats(
        events=found["events"],
        streams=found["streams"],
        bytes=found["allocated_bytes"] + found["index_bytes"],
        segments=found["segments"],
        last_flush=None if flushed_at_ms is None else moment(flushed_at_ms * 1000),
    )
