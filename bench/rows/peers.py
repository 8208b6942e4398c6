"""The names that budgets call peers by; the contenders in `bench/peers` bear them."""

LMDB_SINGLE = "LMDB, one put a transaction"
LMDB_BATCHED = "LMDB, 1,000 puts a transaction"
RAW_FLUSH = "the disk: pwrite + fdatasync"
EVENTSOURCING_MEMORY = "eventsourcing, in memory"
EVENTSOURCING_SQLITE = "eventsourcing, SQLite"
EVENTSOURCING_SQLITE_UNFLUSHED = "eventsourcing, SQLite, flushing off"
DUCKDB_TABLE = "DuckDB, its own table"
