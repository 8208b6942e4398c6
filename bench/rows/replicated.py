"""The store on several machines, beside its engine alone, and beside the embedded log."""

from bench.harness.row import Budget, Row
from bench.rows.peers import EMBEDDED, NATS_PUBLISH, NATS_PUBLISH_MANY

REPLICATED_APPEND_1 = Row(
    "replicated-append-1",
    "append on three NATS servers, one event a commit, 1 thread",
    "commits/s",
    (Budget(NATS_PUBLISH, 1 / 1.3),),
    note="A publish is one record of the same size that three servers have flushed. All servers and the program share"
    " the cores of one machine.",
    why_lost="An append waits for the acknowledgement, and then until its own replica has received and applied the"
    " record; a publish waits for the acknowledgement only.",
    physical=NATS_PUBLISH,
)
REPLICATED_DO_64 = Row(
    "replicated-do-64",
    "do on three NATS servers, 64 threads",
    "actions/s",
    (Budget(floor=10_000),),
    note="The threads of a process share records while others are under way.",
    why_lost="One interpreter runs all threads, and it shares two cores with three servers that flush.",
)
REPLICATED_APPEND_BATCH = Row(
    "replicated-append-batch",
    "append on three NATS servers, commits of 100 events, 16 threads",
    "events/s",
    (Budget(NATS_PUBLISH_MANY, 0.8),),
    note="The publisher has 256 records of the same size under way, and keeps nothing on its own machine.",
    why_lost="Each event is checked, encoded, and written a fourth time, to the replica, by the same two cores.",
)
REPLICATED_LOAD = Row(
    "replicated-load",
    "load streams of 1,000 events from a replica",
    "events/s",
    (Budget(EMBEDDED, 0.95),),
)
REPLICA_APPLY = Row(
    "replica-apply",
    "apply records of 100 events to a replica",
    "events/s",
    (Budget(floor=1_000_000),),
    note="What a replica does with what it reads, without an engine: commits of 100 events, each a record. Beside it,"
    " records of 100 commits of one event each.",
)
