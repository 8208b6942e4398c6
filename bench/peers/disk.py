"""The bare disk: how many small writes a second it makes safe, which nothing durable can beat one by one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.harness.duel import Body, Contender
from bench.harness.threads import in_threads
from bench.rows.peers import RAW_FLUSH

__all__ = ["raw_flush"]

WRITE = b"e" * 150
FILE_BYTES = 1 << 20
WRITES_A_FILE = FILE_BYTES // len(WRITE)


def raw_flush(count: int, *, threads: int = 1) -> Contender:
    """`count` times 150 bytes by pwrite into a zero-filled file, each flushed before the next; a file a thread."""

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        files = [zero_filled(path / f"raw-{i}") for i in range(threads)]
        try:
            if threads == 1:
                yield lambda: flush(files[0], count)
            else:
                yield in_threads([partial(flush, file, count // threads) for file in files])
        finally:
            for file in files:
                os.close(file)

    name = RAW_FLUSH if threads == 1 else f"{RAW_FLUSH}, {threads} threads, a file each"
    return Contender(name, "power cut: fdatasync", count // threads * threads, prepare)


def flush(file: int, times: int) -> None:
    for i in range(times):
        os.pwrite(file, WRITE, i % WRITES_A_FILE * len(WRITE))
        os.fdatasync(file)


def zero_filled(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(file, bytes(FILE_BYTES), 0)
    os.fsync(file)
    return file
