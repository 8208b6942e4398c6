"""Exchange: out to Arrow and Parquet, and in again."""

from bench.harness.row import Row
from bench.rows.peers import FILE_COPY

EXPORT_PARQUET = Row("export-parquet", "export all events to Parquet", "events/s")
EXPORT_JSONL = Row("export-jsonl", "export all events as JSON lines", "events/s")
RESTORE = Row(
    "restore",
    "restore a log from a Parquet export",
    "events/s",
    note="A whole new log, made, read again and flushed before it takes the old one's place.",
)
BACKUP = Row(
    "backup",
    "back up a store that is open",
    "MiB/s",
    note="Of the log's bytes. The copy is read again, checksum by checksum, and flushed; a copy of the same files,"
    " flushed but read by nobody, stands beside it.",
    physical=FILE_COPY,
)
