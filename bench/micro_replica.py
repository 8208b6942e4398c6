"""How fast a replica applies what it has read of an ordered log."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from act_fast._core import Applier, Log, commits_record, genesis_record
from act_fast._rows import Proposal
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.rows.replicated import REPLICA_APPLY
from bench.stores.subject import CORE, FLUSH_INTERVAL_MS, SEGMENT_BYTES
from bench.workloads.events import Batch, batches

BATCH_EVENTS = 100
STREAMS = 1_000
RECORDS_AT_ONCE = 64
STORE, SESSION = b"s" * 16, b"p" * 16
DURABILITY = 'power cut: read again ("interval")'

Record = tuple[int, bytes]


def bench_replica_apply(duel: Duel, sizes: Sizes) -> None:
    commits = batches(sizes.scaled(4_000), events_each=BATCH_EVENTS, streams=STREAMS)
    duel.fight(
        REPLICA_APPLY,
        applying(CORE, [whole(each) for each in commits]),
        applying(f"{CORE}, commits of one event", [one_by_one(each) for each in commits]),
    )


def whole(batch: Batch) -> list[Proposal]:
    return [(1_000, b"", [(batch.stream, batch.events, batch.expected_version)])]


def one_by_one(batch: Batch) -> list[Proposal]:
    expected = range(batch.expected_version, batch.expected_version + len(batch.events))
    return [
        (1_000, b"", [(batch.stream, [event], version)]) for event, version in zip(batch.events, expected, strict=True)
    ]


def applying(name: str, proposals: Sequence[list[Proposal]]) -> Contender:
    """A replica that applies records as they are read, some at a time."""
    records = [(1, genesis_record(STORE, SEGMENT_BYTES))]
    records += [(n + 1, commits_record(STORE, SESSION, n, n, each)) for n, each in enumerate(proposals, start=1)]
    events = len(proposals) * BATCH_EVENTS

    @contextmanager
    def prepare(folder: Path) -> Iterator[Body]:
        genesis = (STORE, SEGMENT_BYTES)
        path = str(folder / "replica")
        with closing(Log.open_replica(path, "interval", FLUSH_INTERVAL_MS, False, genesis)) as log:
            applier = Applier(log, None)

            def body() -> None:
                for start in range(0, len(records), RECORDS_AT_ONCE):
                    applier.apply(records[start : start + RECORDS_AT_ONCE])
                applier.publish()

            yield body
            assert log.head == events

    return Contender(name, DURABILITY, events, prepare)
