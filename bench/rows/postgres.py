"""The store in PostgreSQL, beside the same server's own statements."""

from bench.harness.row import Budget, Row
from bench.rows.peers import COPY, EVENTSOURCING_POSTGRES, RAW_INSERT, RAW_INSERT_32, RAW_SELECT

POSTGRES_APPEND_1 = Row(
    "postgres-append-1",
    "append to PostgreSQL, one event a commit, 1 client",
    "commits/s",
    (Budget(RAW_INSERT, 0.9),),
    note="A raw insert is a prepared statement that adds one row with a unique key, committed by itself. All contenders"
    " write to one server on this machine, which flushes each commit.",
    why_lost="A commit here updates the one row that makes positions dense and visible in order, and that keeps its"
    " outcome, so that a broken connection neither loses nor duplicates it. It also updates the stream's row, and two"
    " more indexes. Client and server together take twice the CPU time of the bare insert.",
    physical=RAW_INSERT,
)
POSTGRES_APPEND_32 = Row(
    "postgres-append-32",
    "append to PostgreSQL, one event a commit, 32 threads",
    "commits/s",
    (Budget(RAW_INSERT_32, 1.5),),
    note="The threads of a process share a connection here, and what waits goes in one transaction; each raw insert has"
    " a connection of its own.",
    why_lost="Client and server together take 0.7 of the CPU time of the raw inserts. Where other work competes for the"
    " two cores, 32 servers get a larger share of them than the one that all threads here share.",
)
POSTGRES_APPEND_BATCH = Row(
    "postgres-append-batch",
    "append to PostgreSQL, commits of 1,000 events",
    "events/s",
    (Budget(COPY, 0.8),),
    note="COPY fills a table with the same columns and the same unique key, 1,000 rows a transaction.",
    why_lost="An event has four more columns and two more indexes than a row of that table.",
)
POSTGRES_DO = Row(
    "postgres-do",
    "do on PostgreSQL: validate, load, decide, fold, append",
    "actions/s",
    (Budget(RAW_INSERT, 1 / 1.2), Budget(EVENTSOURCING_POSTGRES, 1.0)),
    note="A `do` that is warm is one round trip, the append's; the raw insert is one, too. `eventsourcing` saves"
    " aggregates that the caller holds, its fastest way.",
    why_lost="It makes one round trip, but that of an append, which costs more than a bare insert.",
)
POSTGRES_LOAD = Row(
    "postgres-load",
    "load streams of 1,000 events from PostgreSQL, as stored",
    "events/s",
    (Budget(RAW_SELECT, 0.7),),
    why_lost="An event has two columns more than a row of the bare `select`, and becomes an object.",
)
POSTGRES_REACT = Row(
    "postgres-react",
    "react to events on PostgreSQL, one Python call each, a target for each event",
    "events/s",
    (Budget(floor=20_000.0),),
    note="One worker, from `settle()`: correlating, claiming, fetching, calling and acknowledging. A target that has"
    " many events costs less for each: those of one with ten stand beside it.",
    why_lost="A target is some six lines of 64 bytes, which go into a change of the database, and each cycle of"
    " claiming and finishing is two transactions of two round trips.",
)
POSTGRES_DELAY = Row(
    "postgres-delay",
    "from append in one process to the handler in another, on PostgreSQL",
    "ms",
    (Budget(limit=15.0),),
    note="Events come one by one, each when the one before has been handled, to a worker that is asleep by then: a"
    " notification, correlating, claiming, and the handler.",
    why_lost="Others are told of appends at most once in 10 ms.",
)
POSTGRES_CLAIM = Row(
    "postgres-claim",
    "claim on PostgreSQL: speed beside the most targets, of that beside the fewest",
    "times",
    (Budget(floor=0.85),),
    note="Correlating, claiming and finishing 100 targets with one event each, beside others that are caught up.",
    axis="targets known, all others caught up",
)
POSTGRES_GROWTH = Row(
    "postgres-growth",
    "growth on PostgreSQL: speed in the largest store, of that in the smallest",
    "times",
    (Budget(floor=0.85),),
    note="Single appends to streams picked at random, and loads of 50 events of them; a stream has 100 events, so there"
    " are ten times as many in a store ten times as large. The server has 128 MB of its own memory and the system's.",
    why_lost="Indexes of a larger store lie in more pages than the server has memory of its own for.",
    axis="events in the store",
)
