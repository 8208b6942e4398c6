"""Compressed log files: what reading them costs beside the same store uncompressed."""

from bench.harness.row import Budget, Row

PLAIN = "the same store, uncompressed"

_LOADS = (Budget(PLAIN, 1 / 2),)

PACKED_SPACE = Row(
    "flights-packed-space",
    "flights from New York: bytes of the compressed log for one of the uncompressed",
    "bytes/byte",
    (Budget(limit=1 / 3),),
)
PACKED_SCAN = Row(
    "flights-packed-scan",
    "flights from New York: query over all events, the first time",
    "events/s",
    (Budget(PLAIN, 1 / 1.5),),
)
PACKED_LOAD = Row(
    "packed-load",
    "load one stream whose events are scattered, the first time",
    "events/s",
    _LOADS,
    note="A store of commits of 1,000 events in 1,000 streams, 4,000 streams in turn: each event is in a block of its"
    " own. The store is opened again for each round.",
)
PACKED_SCATTERED = Row(
    "packed-scattered",
    "load twenty streams whose events are scattered, the first time",
    "events/s",
    _LOADS,
    note="The same store.",
    why_lost="Each event is in a block of its own, which takes 3 µs to unpack; loading an event takes 1 µs. For one"
    " stream, what the first load takes besides hides that; of all streams, a dozen events share a block.",
)
PACKED_EVERY = Row(
    "packed-every",
    "load every stream of a store whose events are scattered, the first time",
    "events/s",
    _LOADS,
    note="The same store.",
)
PACKED_BUSY = Row(
    "packed-busy",
    "load a stream that has an event in each block, the first time",
    "events/s",
    _LOADS,
    note="Of single commits, five streams have half and 4,000 the other half, in turn; one of the five is loaded.",
    why_lost="All blocks are unpacked for one or two events in each: the whole log is read for a tenth of it.",
)
PACKED_AGAIN = Row(
    "packed-again",
    "load the twenty streams again",
    "events/s",
    _LOADS,
)
