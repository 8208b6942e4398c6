"""What the core tells of a store and of its soundness, as values."""

from typing import Any

from act_fast._checks.moments import moment
from act_fast.stores.values import Problem, StoreStats, VerifyReport

__all__ = ["store_stats", "verify_report"]


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
        bytes=found["disk_bytes"] + found["index_bytes"],
        segments=found["segments"],
        last_flush=None if flushed_at_ms is None else moment(flushed_at_ms * 1000),
        compressed=found["compressed_segments"],
        archived=found["archived_segments"],
    )
