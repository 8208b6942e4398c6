"""Inner loops that only the package as a whole can turn, for `counting.py` to count their instructions.

    python -sP package_work.py PACKAGE_FOLDER WORK TIMES

The work is done TIMES times on a store of EVENTS events; what it needs is made before, so that it cancels out.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from act_fast import LogStore

EVENTS = 2_000
Work = Callable[[], object]


@contextmanager
def ledger() -> "Iterator[LogStore]":
    from act_fast import LogStore
    from bench.workloads.ledger import EVENTS_A_STREAM, write_ledger

    with LogStore.memory() as store:
        assert write_ledger(store, EVENTS // EVENTS_A_STREAM) == EVENTS
        yield store


@contextmanager
def replay() -> Iterator[Work]:
    """Declared fields of every stream are folded."""
    from act_fast import Act
    from bench.workloads.ledger import DeclaredAccount

    with ledger() as store:
        app = Act(store, DeclaredAccount)
        yield lambda: list(app.replay(DeclaredAccount, progress=False))


@contextmanager
def arrow() -> Iterator[Work]:
    """All events are handed out as Arrow batches."""
    from pyarrow import RecordBatchReader

    with ledger() as store:
        yield lambda: RecordBatchReader.from_stream(store.arrow()).read_all()


@contextmanager
def restore() -> Iterator[Work]:
    """A log is made of JSON lines."""
    from act_fast import LogStore

    with ledger() as store, tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "events.jsonl")
        store.export(lines)
        with LogStore(Path(folder, "restored"), durability="os") as restored:
            yield lambda: restored.restore(lines, replace=True)


WORKS = {work.__name__: work for work in (replay, arrow, restore)}


def main() -> None:
    package, work, times = sys.argv[1:]
    sys.path.insert(0, package)
    sys.path.insert(1, str(Path(__file__).resolve().parents[2]))
    with WORKS[work]() as turn:
        for _ in range(int(times)):
            turn()


if __name__ == "__main__":
    main()
