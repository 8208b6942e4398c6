"""What the core tells of streams, of a store and of its soundness, as values."""

from typing import Any

from act_fast._rows import StreamRow
from act_fast.stores.rows import moment
from act_fast.stores.values import Problem, StoreStats, StreamInfo, VerifyReport

__all__ = ["store_stats", "stream_info", "verify_report"]


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
