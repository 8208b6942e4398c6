"""What the process pays: memory, imports, idling."""

from bench.harness.row import Row

OPEN_CLEAN_MEMORY = Row("open-clean-memory", "resident memory that opening takes, clean", "MiB")
OPEN_KILLED_MEMORY = Row("open-killed-memory", "resident memory that opening takes, after kill -9", "MiB")
