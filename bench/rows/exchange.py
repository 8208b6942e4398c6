"""Exchange: out to Arrow and Parquet, and in again."""

from bench.harness.row import Budget, Row
from bench.rows.peers import FILE_COPY

RESTORE_FLOOR = Budget(floor=2_000_000.0)
CSV_FLOOR = Budget(floor=1_000_000.0)

EXPORT_PARQUET = Row("export-parquet", "export all events to Parquet", "events/s")
EXPORT_JSONL = Row("export-jsonl", "export all events as JSON lines", "events/s")
RESTORE = Row(
    "restore",
    "restore a log from a Parquet export",
    "events/s",
    (RESTORE_FLOOR,),
    note="A whole new log, made, read again and flushed before it takes the old one's place.",
    why_lost="DuckDB hands over Arrow columns; what is left is reading them, checking each payload, writing the log and"
    " reading it again, on two cores.",
)
RESTORE_JSONL = Row(
    "restore-jsonl",
    "restore a log from JSON lines",
    "events/s",
    (RESTORE_FLOOR,),
    note="Lines are read by as many threads as there are cores; a wrong line is reported by its number.",
)
RESTORE_CSV = Row("restore-csv", "restore a log from CSV", "events/s", (CSV_FLOOR,))
ARROW = Row(
    "arrow",
    "hand out all events as Arrow batches",
    "events/s",
    (Budget(floor=15_000_000.0),),
    note="All nine columns, payloads and what commits carry among them, read to the end by pyarrow; the five columns"
    " that need no JSON stand beside them.",
    why_lost="Texts and payloads are copied into columns, and the checksum of each record is looked at on the way: a"
    " reader is never given what was not written.",
)
EXCHANGE_MEMORY = Row(
    "exchange-memory",
    "memory at its highest while a whole log leaves or comes",
    "MiB",
    note="Of a process of its own that does nothing else, beyond what it has with the store open; without pages of"
    " files.",
)
BACKUP = Row(
    "backup",
    "back up a store that is open",
    "MiB/s",
    note="Of the log's bytes. The copy is read again, checksum by checksum, and flushed; a copy of the same files,"
    " flushed but not read back, stands beside it.",
    physical=FILE_COPY,
)
