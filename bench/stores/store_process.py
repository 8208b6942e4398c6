"""A process of its own around a store: to fill it, to be killed while writing to it, to open it and say what that took.

    python -m bench.stores.store_process fill PATH STREAMS EVENTS_A_STREAM     waits to be killed when it is done
    python -m bench.stores.store_process append PATH EVENTS                    then goes on until it is killed
    python -m bench.stores.store_process open PATH STREAM                      prints seconds and memory as JSON

Each prints one line when it is there.
"""

import json
import sys
from itertools import count
from pathlib import Path
from time import perf_counter

from act_fast import LogStore
from bench.stores.subject import write_library
from bench.workloads.events import NAMES, Library, payloads, stream_name

APPENDED_STREAMS = 1_000


def fill(path: Path, streams: int, events_a_stream: int) -> None:
    """Write a whole library and hold the store open."""
    store = LogStore(path, durability="os")
    write_library(store, Library(streams, events_a_stream))
    print(store.head, flush=True)
    sys.stdin.read()


def append(path: Path, events: int) -> None:
    """Append single events; say so after `events` of them, and go on."""
    store = LogStore(path, durability="os")
    data = payloads(1_000)
    for i in count():
        store.append(stream_name(i % APPENDED_STREAMS), [(NAMES[0], data[i % len(data)])])
        if i == events:
            print(store.head, flush=True)


def open_and_tell(path: Path, stream: str) -> None:
    """Open the store, then load one stream, and tell how long each took and what memory opening added."""
    before = resident_bytes()
    started = perf_counter()
    store = LogStore(path, durability="os")
    opened = perf_counter()
    after = resident_bytes()
    loaded = sum(1 for _ in store.load(stream))
    finished = perf_counter()
    told = {
        "head": store.head,
        "loaded": loaded,
        "open_ms": (opened - started) * 1e3,
        "open_and_load_ms": (finished - started) * 1e3,
        "memory_mib": (after - before) / 2**20,
    }
    store.close()
    print(json.dumps(told), flush=True)


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    verb, path, *rest = sys.argv[1:]
    if verb == "fill":
        fill(Path(path), int(rest[0]), int(rest[1]))
    elif verb == "append":
        append(Path(path), int(rest[0]))
    else:
        open_and_tell(Path(path), rest[0])


if __name__ == "__main__":
    main()
