"""The rows of the results table: what is measured, in which unit, and what was promised.

A budget is held against a contender of the same run (a ratio) or against a number (milliseconds, bytes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["ROWS", "Budget", "Measurement", "Row"]

LMDB_SINGLE = "LMDB, one put a transaction"
LMDB_BATCHED = "LMDB, 1,000 puts a transaction"
RAW_FLUSH = "the disk: pwrite + fdatasync"
EVENTSOURCING_MEMORY = "eventsourcing, in memory"
EVENTSOURCING_SQLITE = "eventsourcing, SQLite"


@dataclass(frozen=True)
class Measurement:
    """One contender's values, one for each round, in the row's unit."""

    name: str
    durability: str
    values: Sequence[float]

    @property
    def middle(self) -> float:
        return median(self.values)


@dataclass(frozen=True)
class Budget:
    """At least `factor` times the peer of that name; or, without a peer, at most `limit` in the row's unit."""

    peer: str | None = None
    factor: float = 1.0
    limit: float = 0.0


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        key: what benchmarks and saved results call it.
        work: what is done.
        unit: of the values; more is better where it ends in "/s", otherwise less is.
        budgets: what was promised.
        note: what a reader must know to judge the figures.
        why_lost: printed beside the figures when a budget is missed: why, and what was done about it.
    """

    key: str
    work: str
    unit: str
    budgets: tuple[Budget, ...] = ()
    note: str = ""
    why_lost: str = ""


ROWS = {
    row.key: row
    for row in (
        Row(
            "append-single",
            "append, one event a commit, version checked",
            "events/s",
            (Budget(LMDB_SINGLE, 1.0),),
            note="LMDB is at its fastest here: writable mapping, nothing synced, sequential eight-byte keys, no index,"
            " no checksum, no version check. One transaction for each put is the like of a commit; puts inside one long"
            " transaction, which nobody else would see until its end, stand beside it.",
            why_lost="LMDB puts one key and its value; a commit here checks the stream's version and that the data is"
            " JSON, and leaves a checksummed record and the index of its position, stream and name. What can be looked"
            " up once is, and a small commit is made without letting go of the interpreter.",
        ),
        Row(
            "append-batch",
            "append, commits of 1,000 events",
            "events/s",
            (Budget(LMDB_BATCHED, 2.0),),
            note="LMDB's batched put is one Python call for each put; its `putmulti`, one call for all, stands beside.",
            why_lost="Nearly half of what an event costs is making sure that its data is JSON, which LMDB need not care"
            " about. Keys that a commit touches often are indexed once, at its end.",
        ),
        Row(
            "append-fsync-1",
            "append, one event a commit, 1 thread",
            "commits/s",
            (Budget(RAW_FLUSH, 0.9),),
            note="The disk's own rate: 150 bytes by pwrite into a zero-filled file, then fdatasync, one after another.",
            why_lost="An append adds 7 to 11 µs to the flush itself, felt the more the faster the disk flushes.",
        ),
        Row(
            "append-fsync-16",
            "append, one event a commit, 16 threads",
            "commits/s",
            (Budget(RAW_FLUSH, 8.0),),
            why_lost="Seven to eight commits share each flush, but putting 16 Python threads to sleep and waking them"
            " through one interpreter lock costs about 20 µs of processor time a commit: on 2 cores and a disk that"
            " flushes in 100 µs the processors are busy before the disk is.",
        ),
        Row("load-raw", "load streams of 1,000 events, as stored", "events/s"),
        Row(
            "load-state",
            "load a state of 1,000 events, Python reducers",
            "events/s",
            (Budget(EVENTSOURCING_MEMORY, 20.0), Budget(EVENTSOURCING_SQLITE, 20.0)),
        ),
        Row("scan", "query over all events, in order", "events/s"),
        Row(
            "do",
            "do: validate, load, decide, fold, append",
            "actions/s",
            (Budget(EVENTSOURCING_SQLITE, 20.0), Budget(EVENTSOURCING_MEMORY, 4.0)),
            "`eventsourcing` saves aggregates that the caller holds, its fastest way; on SQLite it flushes each commit,"
            " as it is shipped. The same with flushing off stands beside it.",
        ),
        Row("open-clean", "open the large store after a clean close", "ms", (Budget(limit=20.0),)),
        Row(
            "open-killed-first",
            "open the large store after kill -9 of the process that wrote all of it",
            "ms",
            (Budget(limit=1_000.0),),
        ),
        Row(
            "open-killed",
            "open the large store after kill -9 of a process that was appending",
            "ms",
            (Budget(limit=1_000.0),),
        ),
        Row("open-clean-memory", "resident memory that opening takes, clean", "MiB"),
        Row("open-killed-memory", "resident memory that opening takes, after kill -9", "MiB"),
        Row(
            "disk-single",
            "disk beyond the events' own bytes, one event a commit",
            "bytes/event",
            (Budget(limit=64.0),),
            "Own bytes are the payloads; names, versions, times, checksums and indexes are not. The log is"
            " preallocated: the zeros that its files end in are room for events to come, counted in the line beside.",
        ),
        Row(
            "disk-batch",
            "disk beyond the events' own bytes, commits of 1,000",
            "bytes/event",
            (Budget(limit=64.0),),
        ),
    )
}
