"""Where the time of one turn goes, from the inside out: what each layer adds."""

from bench.harness.row import Row

NOTE = " Each part is the difference to a loop that does without it, each at its best of a round."

ANATOMY_APPEND = Row(
    "anatomy-append",
    "where the time of an append goes",
    "ns",
    note="One event of 100 bytes." + NOTE,
    stacked=True,
    picture="docs/anatomy-append.svg",
)
ANATOMY_DO = Row(
    "anatomy-do",
    "where the time of a `do` goes",
    "ns",
    note="One deposit." + NOTE,
    stacked=True,
    picture="docs/anatomy-do.svg",
)
ANATOMY_LOAD = Row(
    "anatomy-load",
    "where the time of an event goes that a state is loaded from",
    "ns",
    note="Streams of 1,000 events, reducers in Python." + NOTE,
    stacked=True,
    picture="docs/anatomy-load.svg",
)
ANATOMY_REACT = Row(
    "anatomy-react",
    "where the time of an event goes that is reacted to",
    "ns",
    note="One event for each of a hundred of 10,000 targets." + NOTE,
    stacked=True,
    picture="docs/anatomy-react.svg",
)
ANATOMY_SQL = Row(
    "anatomy-sql",
    "where the time of a question goes",
    "ns",
    note="The sum of a column of 10,000 events." + NOTE,
    stacked=True,
    picture="docs/anatomy-sql.svg",
)
