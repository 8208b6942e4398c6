"""SQL: questions to events and states, beside DuckDB on its own tables."""

from bench.harness.row import Budget, Row
from bench.rows.peers import DUCKDB_TABLE

SQL_SUM = Row(
    "sql-sum",
    "SQL: the sum of a typed column, over all events",
    "events/s",
    (Budget(DUCKDB_TABLE, 1.5),),
    note="After the first question, which has written the events that have settled to Parquet. The peer answers from a"
    " table of its own with the same rows and columns, in its own file.",
    why_lost="Both are DuckDB; ours reads Parquet and looks at the log's tail, and a question is planned on a"
    " connection of its own, which costs some milliseconds whatever it asks.",
)
SQL_GROUPED = Row(
    "sql-grouped",
    "SQL: the same, grouped by stream",
    "events/s",
    note="As many groups as there are streams, a hundredth of the events.",
)
SQL_FILTERED = Row(
    "sql-filtered",
    "SQL: the sum of one stream's events",
    "questions/s",
    note="A stream has 100 events. The log knows where they are; DuckDB looks through its table.",
)
SQL_FIRST = Row(
    "sql-first",
    "SQL: the first question to a store, which keeps what has settled as Parquet",
    "events/s",
)
