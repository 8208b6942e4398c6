"""SQL: questions to events and states, beside DuckDB on its own tables."""

from bench.harness.row import Budget, Row
from bench.rows.peers import DUCKDB_LOAD, DUCKDB_TABLE

SQL_SUM = Row(
    "sql-sum",
    "SQL: the sum of a typed column, over all events",
    "events/s",
    (Budget(DUCKDB_TABLE, 0.9),),
    note="After what has settled was written to files of DuckDB's, and with nothing appended since. The peer answers"
    " from a table of its own with the same rows and columns, in its own file.",
    why_lost="Both are DuckDB, on files of the same kind, with the same plan. Planning a question on a connection of"
    " its own, at a cut of its own, costs a millisecond whatever it asks: as much as DuckDB needs for a million"
    " numbers.",
)
SQL_GROUPED = Row(
    "sql-grouped",
    "SQL: the same, grouped by stream",
    "events/s",
    (Budget(DUCKDB_TABLE, 1.0),),
    note="As many groups as there are streams, a hundredth of the events.",
)
SQL_FILTERED = Row(
    "sql-filtered",
    "SQL: the sum of one stream's events",
    "questions/s",
    (Budget(DUCKDB_TABLE, 0.9),),
    note="A stream has 100 events. The log knows where they are; DuckDB looks through its table.",
)
SQL_NEEDLE = Row(
    "sql-needle",
    "SQL: one stream's events, all columns",
    "questions/s",
    (Budget(floor=500),),
    note="A hundred events of as many million as the store has, found by the index of the log: nothing has to be"
    " written down for it. The peer looks through its table.",
)
SQL_NEWEST = Row(
    "sql-newest",
    "SQL: the newest 100 events of a class, all columns",
    "questions/s",
    (Budget(floor=500),),
    note="`order by position desc limit 100`.",
)
SQL_STREAMS = Row(
    "sql-streams",
    "SQL: how many events streams have, from the relation `streams`",
    "streams/s",
    note="From the index of the log. The other contender groups the relation `events` by stream.",
)
SQL_STATES = Row(
    "sql-states",
    "SQL: the sum over a state table, asked again",
    "streams/s",
    note="States with Python reducers, a hundred events each. They were folded for a question before, and are kept."
    " The peer adds up the amounts of its table by stream.",
)
SQL_STATES_MOVED = Row(
    "sql-states-moved",
    "SQL: the same after ten streams have changed",
    "streams/s",
    note="Ten streams are folded again, the others are not.",
)
SQL_FIRST = Row(
    "sql-first",
    "SQL: the first question to a store, the sum of a typed column",
    "events/s",
    (Budget(DUCKDB_LOAD, 0.67),),
    note="Answered from the log; files are made later, in the background. The peer has the events as Parquet, of which"
    " it makes a table before it answers.",
)
SQL_JSON = Row(
    "sql-json",
    "SQL: the same sum, the amount being taken out of the payload's JSON",
    "events/s",
    note="The relation of the event class, which needs no extraction, beside three that extract: the relation `events`"
    " of ours, a table of sqlite3's, and the events as JSON lines in a file.",
)
SQL_VIEW = Row(
    "sql-view",
    "SQL: a continuous question, the sum and the number of each stream's deposits, counted for the first time",
    "events/s",
    (Budget(floor=1_000_000.0),),
    note="As many groups as there are streams, a hundredth of the events. With what is written down on the way.",
)
SQL_VIEW_READ = Row(
    "sql-view-read",
    "SQL: the same, read again after one commit",
    "questions/s",
    note="The groups go out as columns and DuckDB adds up one of them; the peer asks its own table, which nothing was"
    " added to, the whole question.",
)
SQL_MEMORY = Row(
    "sql-memory",
    "SQL: peak memory of a process that asks about every event",
    "MiB",
    note="The sum of a typed column and of the lengths of all payloads, after what has settled was written down, and"
    " before: then the process also waits until it is written.",
)
