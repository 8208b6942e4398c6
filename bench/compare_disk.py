"""How much disk an event takes beyond its own bytes."""

from collections.abc import Callable
from pathlib import Path

from act_fast import LogStore
from bench.harness.duel import Duel
from bench.harness.row import Measurement, Row
from bench.harness.sizes import Sizes
from bench.rows.log import DISK_BATCH, DISK_SINGLE
from bench.stores.subject import DURABILITY, SUBJECT
from bench.workloads.events import BATCH_EVENTS, batches, singles

BLOCK_BYTES = 512
READ_BYTES = 1 << 20


def bench_single_commits(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    events = singles(sizes.scaled(500_000), streams=sizes.scaled(10_000))

    def fill(store: LogStore) -> None:
        for event in events:
            store.append(event.stream, [(event.name, event.data)], expected_version=event.expected_version)

    own_bytes = sum(len(event.data) for event in events)
    measure(duel, DISK_SINGLE, shelf / "single", fill, len(events), own_bytes)


def bench_batched_commits(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    commits = batches(sizes.scaled(1_000), streams=sizes.scaled(100))

    def fill(store: LogStore) -> None:
        for commit in commits:
            store.append(commit.stream, commit.events, expected_version=commit.expected_version)

    own_bytes = sum(len(data) for commit in commits for _, data in commit.events)
    measure(duel, DISK_BATCH, shelf / "batch", fill, len(commits) * BATCH_EVENTS, own_bytes)


def measure(duel: Duel, row: Row, path: Path, fill: Callable[[LogStore], None], events: int, own_bytes: int) -> None:
    def fill_and_close() -> None:
        with LogStore(path, durability="os") as store:
            fill(store)

    duel.time(fill_and_close)
    files = [file for file in path.rglob("*") if file.is_file()]
    taken = sum(file.stat().st_blocks * BLOCK_BYTES for file in files)
    written = sum(map(written_bytes, files))
    duel.observe(
        row,
        [
            Measurement(name, DURABILITY["os"], [(size - own_bytes) / events])
            for name, size in ((SUBJECT, written), (f"{SUBJECT}, with the room made ahead", taken))
        ],
    )


def written_bytes(path: Path) -> int:
    """The size of a file without the zeros that it ends in, which are room made for events to come."""
    with path.open("rb") as file:
        end = path.stat().st_size
        while end > 0:
            start = max(0, end - READ_BYTES)
            file.seek(start)
            piece = file.read(end - start).rstrip(b"\0")
            if piece:
                return start + len(piece)
            end = start
    return 0
