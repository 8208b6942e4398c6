"""Scenarios: realistic wholes."""

from bench.harness.row import Row

BANK_OS = Row(
    "bank-os",
    'a bank with hot accounts, 8 threads, "os"',
    "transfers/s",
    note="Half of those who pay and are paid are 10 of 10,000. A transfer is two decisions: one pays out if there is"
    " money, the other pays in; if someone else was quicker, the decision is made again. The peer transfers in one"
    " thread, where that never happens.",
)
BANK_FSYNC = Row(
    "bank-fsync",
    'a bank with hot accounts, 8 threads, "fsync"',
    "transfers/s",
    note="The same, and each half of a transfer survives a power cut when it returns.",
)
WAREHOUSE = Row(
    "warehouse",
    "a warehouse under contention: 16 threads want items of 4 kinds",
    "reservations/s",
    note="Each reservation of a kind conflicts with all others of that kind in progress, which are then decided again.",
)
FLIGHTS_APPEND = Row("flights-append", "flights from New York, as they were in 2013: append", "events/s")
FLIGHTS_FOLD = Row("flights-fold", "flights from New York, as they were in 2013: fold every aircraft", "events/s")
FLIGHTS_REACT = Row(
    "flights-react",
    "flights from New York, as they were in 2013: keep statistics of airports and carriers",
    "events/s",
    note="Reactions with targets for each airport and carrier; each handler is an upsert in a SQLite table.",
)
BURSTS = Row(
    "bursts",
    "bursts of events into a running worker: from the append to the end of the handler",
    "ms",
    note="A worker runs in another thread. Bursts come with pauses between them, so it sleeps when one begins; the"
    " events of a burst wait for those before them.",
    axis="percentile",
)
DUAL_FRONTIER = Row(
    "dual-frontier",
    "the dual frontier: every target's watermark while a burst, a slow handler and new targets come together",
    "position",
    note="One worker. Idle targets follow the head without work; fast ones never wait for the slow one; those that a"
    " new reaction discovers in an old log start at its first event, delay no others, and catch up; all reach the"
    " head.",
    axis="seconds",
    trace=True,
    picture="docs/dual-frontier.svg",
)
