"""Reactions: handling, claiming, correlating."""

from bench.harness.row import Budget, Row

REACT = Row(
    "react",
    "react to events, one Python call each",
    "events/s",
    (Budget(floor=500_000.0),),
    "Correlating, claiming, decoding, calling and acknowledging, all from `settle()`; a target for each of the streams."
    " The same with the meta that `do` writes with each event stands beside it.",
)
REACT_IN_LISTS = Row(
    "react-in-lists",
    "react to events in lists of up to 100, one target",
    "events/s",
    (Budget(floor=300_000.0),),
    "A projection with a `@batch` method.",
)
CATCH_UP = Row(
    "catch-up",
    "catch up with a log of 1 M events: a projection that is new",
    "events/s",
    (Budget(floor=300_000.0),),
    "From its first registration until it is at the head, event by event and in lists.",
)
CLAIM = Row(
    "claim",
    "claim, 1 M targets known, 100 with work",
    "µs",
    (Budget(limit=30.0),),
    "One call of `claim`, which leases targets and fetches their next events: the ten that a worker with room for ten"
    " asks for, and all hundred at once, Python objects made of them included.",
)
CLAIM_GROWTH = Row(
    "claim-growth",
    "correlate, claim and finish 100 targets with one event each",
    "µs",
    note="What a cycle costs beside targets that are caught up; Python objects included, handlers not.",
    axis="targets known, all others caught up",
)
LATENCY = Row(
    "latency",
    "from append in one process to the handler in another, the median",
    "µs",
    (Budget(limit=60.0),),
    note="Events come one by one, each when the one before has been handled, to a worker that is asleep by then.",
)
LATENCY_99 = Row(
    "latency-99",
    "the same, 99 in 100",
    "µs",
    (Budget(limit=500.0),),
)
