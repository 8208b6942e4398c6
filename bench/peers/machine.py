"""The bare machine: how fast the same bytes are copied into a mapped file, or read from one, and nothing else."""

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.harness.duel import Body, Contender
from bench.rows.peers import MEMCPY, PREAD
from bench.workloads.events import BATCH_EVENTS, Batch

__all__ = ["log_read", "payloads_copied"]

PIECE_BYTES = 1 << 20


def payloads_copied(commits: Sequence[Batch]) -> Contender:
    """The payloads of each commit, in one piece already, by one memcpy into pages that are there."""
    pieces = [b"".join(data for _, data in commit.events) for commit in commits]
    size = sum(map(len, pieces))

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with (path / "mapped").open("wb+") as file:
            file.write(bytes(size))
            file.flush()
            with mmap.mmap(file.fileno(), size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE) as mapped:

                def copy() -> None:
                    at = 0
                    for piece in pieces:
                        mapped[at : at + len(piece)] = piece
                        at += len(piece)

                yield copy

    return Contender(MEMCPY, "process: a mapped file", len(commits) * BATCH_EVENTS, prepare)


def log_read(store: Path, events: int) -> Contender:
    """What the log's files hold, up to the zeros that they end in, a mebibyte at a time."""
    files = sorted(path for path in (store / "log").iterdir() if path.is_file())
    sizes = [len(path.read_bytes().rstrip(b"\0")) for path in files]
    buffer = bytearray(PIECE_BYTES)

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with ExitStack() as opened:
            descriptors = [opened.enter_context(path.open("rb")).fileno() for path in files]

            def read() -> None:
                for descriptor, size in zip(descriptors, sizes, strict=True):
                    for at in range(0, size, PIECE_BYTES):
                        os.preadv(descriptor, [memoryview(buffer)[: min(PIECE_BYTES, size - at)]], at)

            yield read

    return Contender(PREAD, "none: nothing is written", events, prepare)
