"""Replay: folding every stream of a store."""

from bench.harness.row import Budget, Row

REPLAY_PYTHON = Row(
    "replay-python",
    "replay every stream, Python reducers",
    "events/s",
    (Budget(floor=5_000_000.0),),
    note="Deposits and withdrawals in streams of 100 events, written in turn; one pass over the log gives every"
    " stream's state. The peer gets one aggregate after the other, which is the only way it has.",
    why_lost="The reducer is a Python call for each event, and decoding makes an object of its class for each: at five"
    " million events a second there are 200 ns for both.",
)
REPLAY_DECLARED = Row(
    "replay-declared",
    "replay every stream, declared fields",
    "events/s",
    (Budget(floor=30_000_000.0),),
    note="The same state, its balance declared as a total of deposits less a total of withdrawals: folded in the core,"
    " on all cores. All states are handed over as Python objects.",
    why_lost="An event takes a core some 60 ns: its record's checksum, its payload's scan, one addition. On two cores"
    " that leaves little room for what one thread does alone: merging shares and making an object of each state.",
)
