"""Inner loops of the core for `instructions.py` to count: needs nothing but the interpreter and the compiled module.

    python -sSP core_work.py MODULE WORK TIMES

The work is done TIMES times; what it needs is made before, whatever TIMES is, so that it cancels out between two runs.
Everything is in memory: what the operating system does is not counted anyway.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from itertools import repeat

SEGMENT_BYTES = 4 << 20
PAYLOAD_BYTES_MAX = 1 << 20
DATA = b'{"amount":4711,"currency":"EUR","reference":"0123456789abcdef0123456789abcdef","booked":"2013-07-01"}'
NAMES = ("Deposited", "Withdrawn", "Transferred", "FeeCharged")
BATCH = [(NAMES[i % len(NAMES)], DATA) for i in range(1_000)]
STREAMS = [f"account-{i}" for i in range(100)]
LEASE_MS = 60_000


def append(core) -> Iterator[Callable[[], object]]:
    log = core.Log.memory(SEGMENT_BYTES, PAYLOAD_BYTES_MAX)
    event = BATCH[:1]
    for version in range(1_000):
        for stream in STREAMS:
            yield lambda stream=stream, version=version: log.append(stream, event, version)


def append_tagged(core) -> Iterator[Callable[[], object]]:
    log = core.Log.memory(SEGMENT_BYTES, PAYLOAD_BYTES_MAX)
    tagged = [[(*BATCH[0], [f"customer:{number}"])] for number in range(1_000)]
    for version, event in enumerate(tagged):
        for stream in STREAMS:
            yield lambda stream=stream, version=version, event=event: log.append(stream, event, version)


def append_batch(core) -> Iterator[Callable[[], object]]:
    log = core.Log.memory(SEGMENT_BYTES, PAYLOAD_BYTES_MAX)
    return repeat(lambda: log.append(STREAMS[0], BATCH))


def append_many(core) -> Iterator[Callable[[], object]]:
    """Commits of an event for each of a thousand streams, whose names are looked up each time."""
    log = core.Log.memory(SEGMENT_BYTES, PAYLOAD_BYTES_MAX)
    parts = [(f"account-{i}", BATCH[:1], None) for i in range(1_000)]
    for _ in range(2):
        log.append_many(parts)
    return repeat(lambda: log.append_many(parts))


def load(core) -> Iterator[Callable[[], object]]:
    log = core.Log.memory(SEGMENT_BYTES, PAYLOAD_BYTES_MAX)
    log.append(STREAMS[0], BATCH)
    return repeat(lambda: log.load(STREAMS[0]))


def query(core) -> Iterator[Callable[[], object]]:
    log = core.Log.memory(SEGMENT_BYTES, PAYLOAD_BYTES_MAX)
    log.append(STREAMS[0], BATCH)
    return repeat(lambda: log.query({"names": NAMES[:1]}).next_page(1_000))


def react(core) -> Iterator[Callable[[], object]]:
    """One event for one of a thousand targets: appended, correlated, claimed, acknowledged."""
    log = core.Log.memory(SEGMENT_BYTES, PAYLOAD_BYTES_MAX)
    reactions = core.Reactions.open(log)
    reactions.register([("audit", NAMES, "audit-{stream}", None, "default", 0, False, ())])
    targets = [f"account-{i}" for i in range(1_000)]
    event = BATCH[:1]

    def cycle(stream: str) -> None:
        log.append(stream, event)
        reactions.correlate(100)
        claimed = reactions.claim(None, 10, 10, 10, LEASE_MS, 1, log.head)
        accepted = reactions.finish([(lease[0], lease[2], lease[5][-1][0], "free", 0, 0, "") for lease in claimed])
        assert accepted == [True]

    for stream in targets:
        cycle(stream)
    return (lambda stream=stream: cycle(stream) for stream in targets)


WORKS = {work.__name__: work for work in (append, append_tagged, append_batch, append_many, load, query, react)}


def main() -> None:
    module, work, times = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("act_fast._core", module)
    core = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(core)
    todo = iter(WORKS[work](core))
    for _ in range(int(times)):
        next(todo)()


if __name__ == "__main__":
    main()
