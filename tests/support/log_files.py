"""Logs of several small files, for tests of what becomes of the older ones."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from act_fast import LogStore

__all__ = ["SEGMENT_BYTES", "append", "filled", "killed_at_random", "read"]

SEGMENT_BYTES = 16 << 10


def filled(path: Path, events: int = 400) -> dict[str, list[bytes]]:
    """A store with several log files, and what is in each of its streams."""
    streams: dict[str, list[bytes]] = {}
    with LogStore(path, durability="os", segment_bytes=SEGMENT_BYTES) as store:
        for number in range(events):
            append(store, streams, number % 5, number)
    return streams


def append(store: LogStore, streams: dict[str, list[bytes]], stream: int, number: int) -> None:
    """Append an event to a stream, and to what is known of the streams."""
    data = b'{"number":%d,"pad":"%s"}' % (number, b"pad" * 60)
    store.append(f"s-{stream}", [("Happened", data)])
    streams.setdefault(f"s-{stream}", []).append(data)


def read(store: LogStore) -> dict[str, list[bytes]]:
    """What is in each stream, read in both ways."""
    found: dict[str, list[bytes]] = {}
    for event in store.query():
        found.setdefault(event.stream, []).append(bytes(event.data))
    for stream, expected in found.items():
        assert [bytes(event.data) for event in store.load(stream)] == expected
    return found


def killed_at_random(path: Path, work: str, *arguments: Path | str, within: float = 0.2) -> Iterator[LogStore]:
    """What is left of a store each time that a program working on it over and over was killed.

    Args:
        path: the store.
        work: what the program does with `store`, and with `arguments` as `sys.argv[2:]`.
        arguments: what it is given.
        within: it is killed within so many seconds.
    """
    seed = int(os.environ.get("ACT_FAST_SEED", "0")) or random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    program = (
        "import sys\nfrom act_fast import LogStore\nstore = LogStore(sys.argv[1], durability='os')\nprint(flush=True)\n"
        f"while True: {work}"
    )
    for _ in range(5):
        running = subprocess.Popen([sys.executable, "-c", program, path, *arguments], stdout=subprocess.PIPE)
        assert running.stdout is not None
        running.stdout.readline()
        time.sleep(rng.random() * within)
        running.send_signal(signal.SIGKILL)
        running.wait()
        running.stdout.close()
        with LogStore(path, durability="os") as store:
            yield store
