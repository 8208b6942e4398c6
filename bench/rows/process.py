"""What the process pays: memory, imports, idling."""

from bench.harness.row import Budget, Row

OPEN_CLEAN_MEMORY = Row("open-clean-memory", "resident memory that opening takes, clean", "MiB")
OPEN_KILLED_MEMORY = Row("open-killed-memory", "resident memory that opening takes, after kill -9", "MiB")
MEMORY = Row(
    "memory",
    "memory of a process of its own",
    "MiB",
    note="What the process has to itself: pages of files, which the operating system can take back and shares"
    " among all processes, are not in it.",
)
IMPORT = Row(
    "import",
    "import, in a process of its own",
    "ms",
    (Budget(limit=60.0),),
    note="Beyond what the interpreter takes to start, with the names that a program with states needs.",
)
VERSION = Row(
    "version",
    "`act-fast --version`, a process from its start to its end",
    "ms",
    (Budget(limit=150.0),),
)
IDLE = Row(
    "idle",
    "an idle worker",
    "µs of processor a second",
    note="`app.run()` on a store where nothing happens: it sleeps until something is published.",
)
SIZE = Row("size", "size of the package, zipped as in a wheel", "MiB")
