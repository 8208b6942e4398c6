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

EVENT_BYTES = 150
FILE_BYTES = 1 << 20


def raw_flush(count: int, *, threads: int = 1, write_bytes: int = EVENT_BYTES, events_a_write: int = 1) -> Contender:
    """`count` times `write_bytes` by pwrite into a zero-filled file, each flushed before the next; a file a thread."""
    write = b"e" * write_bytes

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        files = [zero_filled(path / f"raw-{i}") for i in range(threads)]
        try:
            if threads == 1:
                yield lambda: flush(files[0], write, count)
            else:
                yield in_threads([partial(flush, file, write, count // threads) for file in files])
        finally:
            for file in files:
                os.close(file)

    name = RAW_FLUSH if threads == 1 else f"{RAW_FLUSH}, {threads} threads, a file each"
    return Contender(name, "power cut: fdatasync", count // threads * threads * events_a_write, prepare)


def flush(file: int, write: bytes, times: int) -> None:
    writes_a_file = FILE_BYTES // len(write)
    for i in range(times):
        os.pwrite(file, write, i % writes_a_file * len(write))
        os.fdatasync(file)


def zero_filled(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(file, bytes(FILE_BYTES), 0)
    os.fsync(file)
    return file
