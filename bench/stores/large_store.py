"""The large store that is opened and killed, always by processes of their own (`store_process.py`)."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.harness.sizes import CHECKOUT
from bench.workloads.events import stream_name

__all__ = ["EVENTS_A_STREAM", "LargeStore"]

EVENTS_A_STREAM = 100


@dataclass
class LargeStore:
    """`streams` streams of 100 events each, and whatever killed writers added to them."""

    path: Path
    streams: int

    def open(self) -> dict[str, float]:
        """Open it in a fresh process and close it again; how long that took and what memory, as the process tells."""
        command = self.process("open", stream_name(self.streams // 2))
        done = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True)
        told: dict[str, float] = json.loads(done.stdout)
        assert told["head"] >= self.streams * EVENTS_A_STREAM
        return told

    def kill_its_first_writer(self) -> None:
        """Have everything written by one process, and kill that before it closes the store."""
        self.kill("fill", self.streams, EVENTS_A_STREAM)

    def kill_another_writer(self, events: int, after_seconds: float) -> None:
        """Have `events` and some more appended one by one, and kill the process in the middle of it."""
        self.kill("append", events, after_seconds=after_seconds)

    def forget_cached_pages(self) -> None:
        """Have the next process read from the disk. Pages must be flushed before they can be dropped."""
        for path in filter(Path.is_file, self.path.rglob("*")):
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)

    def kill(self, verb: str, *arguments: object, after_seconds: float = 0.0) -> None:
        pipe = subprocess.PIPE
        with subprocess.Popen(self.process(verb, *arguments), cwd=CHECKOUT, stdin=pipe, stdout=pipe) as writer:
            assert writer.stdout is not None
            ready = writer.stdout.readline()
            time.sleep(after_seconds)
            writer.send_signal(signal.SIGKILL)
        assert ready, f"the process that was to {verb} ended before it was killed"

    def process(self, verb: str, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "bench.stores.store_process", verb, str(self.path), *map(str, arguments)]
