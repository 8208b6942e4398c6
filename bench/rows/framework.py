"""The framework: deciding, and folding states."""

from bench.harness.row import Budget, Row
from bench.rows.peers import EVENTSOURCING_MEMORY, EVENTSOURCING_SQLITE

DO = Row(
    "do",
    "do: validate, load, decide, fold, append",
    "actions/s",
    (Budget(EVENTSOURCING_SQLITE, 60.0), Budget(EVENTSOURCING_MEMORY, 6.0)),
    "`eventsourcing` saves aggregates that the caller holds, its fastest way; on SQLite it flushes each commit,"
    " as it is shipped. The same with flushing off stands beside it.",
    why_lost="Over half of a `do` is Python: arguments are converted, the decision and its checks run, the new state is"
    " folded and put into the cache. The peer is given the aggregate by its caller, and decides nothing.",
)
LOAD_STATE = Row(
    "load-state",
    "load a state of 1,000 events, Python reducers",
    "events/s",
    (Budget(EVENTSOURCING_MEMORY, 20.0), Budget(EVENTSOURCING_SQLITE, 20.0)),
)
DO_LATENCY_OS = Row(
    "do-latency-os",
    'latency of a do, "os"',
    "µs",
    note="Threads deposit into accounts of their own, each as fast as it can. One interpreter lock is shared by all:"
    " what a thread waits for it is in its figure, up to the interpreter's switch interval of 5 ms.",
    axis="percentile",
)
DO_LATENCY_FSYNC = Row(
    "do-latency-fsync",
    'latency of a do, "fsync"',
    "µs",
    note="The same; each deposit returns when it would survive a power cut. Threads share flushes.",
    axis="percentile",
)
SEALING = Row(
    "sealing",
    "a sealed field of 15 letters, more than one in clear",
    "µs",
    (Budget(limit=3.0),),
    note="Processor time of one thread, the key at hand: encoding an event for the store, and decoding it.",
)
