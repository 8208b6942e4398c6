"""How much disk an event takes beyond its own bytes."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from act_fast import LogStore
from bench.harness.duel import Absent, Contender, Duel
from bench.harness.row import Measurement, Row
from bench.harness.sizes import Sizes
from bench.peers.key_value import lmdb_batched, lmdb_single
from bench.peers.sqlite import sqlite_batched, sqlite_single
from bench.peers.umadb import umadb_batched, umadb_single
from bench.rows.log import DISK_BATCH, DISK_SINGLE
from bench.stores.subject import DURABILITY, SUBJECT
from bench.workloads.events import batches, singles

BLOCK_BYTES = 512
READ_BYTES = 1 << 20


def bench_single_commits(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    events = singles(sizes.scaled(500_000), streams=sizes.scaled(10_000))

    def fill(store: LogStore) -> None:
        for event in events:
            store.append(event.stream, [(event.name, event.data)], expected_version=event.expected_version)

    peers = [
        sqlite_single(events[: sizes.scaled(50_000)], "OFF"),
        *lmdb_single(events[: sizes.scaled(50_000)])[:1],
        *umadb_single(events[: sizes.scaled(1_000)]),
    ]
    measure(duel, DISK_SINGLE, shelf, fill, [event.data for event in events], peers)


def bench_batched_commits(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    commits = batches(sizes.scaled(1_000), streams=sizes.scaled(100))

    def fill(store: LogStore) -> None:
        for commit in commits:
            store.append(commit.stream, commit.events, expected_version=commit.expected_version)

    peers = [
        sqlite_batched(commits[: sizes.scaled(100)], "OFF"),
        *lmdb_batched(commits[: sizes.scaled(100)])[:1],
        *umadb_batched(commits[: sizes.scaled(100)]),
    ]
    measure(duel, DISK_BATCH, shelf, fill, [data for commit in commits for _, data in commit.events], peers)


def measure(
    duel: Duel,
    row: Row,
    shelf: Path,
    fill: Callable[[LogStore], None],
    payloads: Sequence[bytes],
    peers: Sequence[Contender | Absent],
) -> None:
    """What is on the disk when everything was written and closed, less the payloads, for each event."""
    path = shelf / row.key

    def fill_and_close() -> None:
        with LogStore(path, durability="os") as store:
            fill(store)

    duel.time(fill_and_close)
    written = sum(map(written_bytes, files_in(path)))
    found = [
        (SUBJECT, DURABILITY["os"], written, len(payloads)),
        (f"{SUBJECT}, with the room made ahead", DURABILITY["os"], taken_bytes(path), len(payloads)),
    ]
    for peer in peers:
        if isinstance(peer, Contender):
            found.append((peer.name, peer.durability, taken_by(peer, shelf / "peer"), peer.count))
    measured = [
        Measurement(name, durability, [(size - sum(map(len, payloads[:count]))) / count])
        for name, durability, size, count in found
    ]
    absent = [Measurement(peer.name, "", [], peer.reason) for peer in peers if isinstance(peer, Absent)]
    duel.observe(row, measured + absent)


def taken_by(peer: Contender, path: Path) -> int:
    path.mkdir()
    with peer.prepare(path) as work:
        work()
    written = sum(map(written_bytes, files_in(path)))
    shutil.rmtree(path)
    return written


def taken_bytes(path: Path) -> int:
    """The blocks that files take, whatever their length says."""
    return sum(file.stat().st_blocks * BLOCK_BYTES for file in files_in(path))


def files_in(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()]


def written_bytes(path: Path) -> int:
    """The size of a file without its holes, or the zeros that it ends in, which are room made for events to come."""
    blocks_bytes = path.stat().st_blocks * BLOCK_BYTES
    if blocks_bytes < path.stat().st_size:
        return blocks_bytes
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
