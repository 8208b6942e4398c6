"""What the core tells of a store and of its soundness, as values."""

from collections.abc import Iterable
from typing import Any

from act_fast._checks.moments import moment
from act_fast._events.gone import rewritten
from act_fast.stores.values import Problem, Share, Shares, StoreStats, VerifyReport

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


def store_stats(found: dict[str, Any], told: Iterable[tuple[str, bytes]]) -> StoreStats:
    """How much a store holds. `told`: the events that tell what was rewritten."""
    flushed_at_ms, created_us = found["flushed_at_ms"], found["last_created_us"]
    shares = Shares(*(Share(*found[form]) for form in Shares.__struct_fields__))
    gone = rewritten(told)
    return StoreStats(
        events=found["events"],
        streams=found["streams"],
        bytes=found["disk_bytes"] + found["index_bytes"],
        segments=found["segments"],
        last_flush=None if flushed_at_ms is None else moment(flushed_at_ms * 1000),
        compressed=shares.compressed.segments,
        archived=shares.archived.segments,
        shares=shares,
        archive=found["archive"] or "",
        pruned=gone.pruned,
        pruned_bytes=gone.pruned_bytes,
        redacted=gone.redacted,
        last_created=None if created_us is None else moment(created_us),
    )
