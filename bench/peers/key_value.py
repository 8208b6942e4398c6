"""LMDB through its Python binding: the position is the key, the payload the value, nothing is ever flushed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness.duel import Body, Contender
from bench.peers.absence import needs
from bench.rows.peers import LMDB_BATCHED, LMDB_CURSOR, LMDB_RANGE, LMDB_SINGLE
from bench.workloads.events import BATCH_EVENTS, Batch, Library, Single

__all__ = ["lmdb_batched", "lmdb_load", "lmdb_scan", "lmdb_single"]

if TYPE_CHECKING:
    import lmdb

Put = tuple[bytes, bytes]
Work = Callable[["lmdb.Environment"], object]

DURABILITY = "none: sync off"
MAP_BYTES = 8 << 30


@needs("lmdb", LMDB_SINGLE)
def lmdb_single(events: Sequence[Single]) -> list[Contender]:
    """One put a transaction, in every way somebody could mean it; the budget names the first."""
    puts = keyed([event.data for event in events])

    def one_each(environment: "lmdb.Environment") -> None:
        for key, value in puts:
            with environment.begin(write=True) as transaction:
                transaction.put(key, value)

    def one_each_by_hand(environment: "lmdb.Environment") -> None:
        begin = environment.begin
        for key, value in puts:
            transaction = begin(write=True)
            transaction.put(key, value)
            transaction.commit()

    def one_for_all(environment: "lmdb.Environment") -> None:
        with environment.begin(write=True) as transaction:
            put = transaction.put
            for key, value in puts:
                put(key, value)

    return [
        writer(LMDB_SINGLE, len(puts), one_each),
        writer("LMDB, the same without `with`", len(puts), one_each_by_hand),
        writer("LMDB, the same without a writable mapping", len(puts), one_each, writemap=False),
        writer("LMDB, puts inside one long transaction", len(puts), one_for_all),
    ]


@needs("lmdb", LMDB_BATCHED)
def lmdb_batched(commits: Sequence[Batch]) -> list[Contender]:
    """1,000 puts a transaction, one call for each; and the same through `putmulti`."""
    puts = keyed([data for commit in commits for _, data in commit.events])
    shares = [puts[start : start + BATCH_EVENTS] for start in range(0, len(puts), BATCH_EVENTS)]

    def put_by_put(environment: "lmdb.Environment") -> None:
        for share in shares:
            with environment.begin(write=True) as transaction:
                put = transaction.put
                for key, value in share:
                    put(key, value)

    def put_together(environment: "lmdb.Environment") -> None:
        for share in shares:
            with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
                cursor.putmulti(share)

    return [
        writer(LMDB_BATCHED, len(puts), put_by_put),
        writer("LMDB, putmulti of 1,000", len(puts), put_together),
    ]


@needs("lmdb", LMDB_RANGE)
def lmdb_load(path: Path, library: Library, streams: Sequence[str]) -> list[Contender]:
    """Each stream as one range of keys: the stream's name, then the version."""
    fill(path, [(stream_key(stream, version), data) for stream, version, _, data in library.rows()])
    prefixes = [stream_key(stream) for stream in streams]

    def walk(environment: "lmdb.Environment") -> None:
        with environment.begin() as transaction, transaction.cursor() as cursor:
            for prefix in prefixes:
                cursor.set_range(prefix)
                for key, _ in cursor:
                    if not key.startswith(prefix):
                        break

    return [reader(LMDB_RANGE, path, len(streams) * library.events_a_stream, walk)]


@needs("lmdb", LMDB_CURSOR)
def lmdb_scan(path: Path, library: Library) -> list[Contender]:
    """A cursor over all keys."""
    fill(path, keyed([data for _, _, _, data in library.rows()]))

    def walk(environment: "lmdb.Environment") -> None:
        with environment.begin() as transaction, transaction.cursor() as cursor:
            for _ in cursor:
                pass

    return [reader(LMDB_CURSOR, path, library.events, walk)]


def keyed(data: Sequence[bytes]) -> list[Put]:
    return [(position.to_bytes(8, "big"), each) for position, each in enumerate(data, start=1)]


def stream_key(stream: str, version: int | None = None) -> bytes:
    return stream.encode() + b"\0" + (b"" if version is None else version.to_bytes(8, "big"))


def fill(path: Path, puts: Sequence[Put]) -> None:
    path.mkdir()
    with environment_at(path) as environment, environment.begin(write=True) as transaction:
        for key, value in puts:
            transaction.put(key, value)


def writer(name: str, count: int, work: Work, *, writemap: bool = True) -> Contender:
    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with environment_at(path, writemap=writemap) as environment:
            yield lambda: work(environment)

    return Contender(name, DURABILITY, count, prepare)


def reader(name: str, path: Path, count: int, work: Work) -> Contender:
    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with environment_at(path) as environment:
            yield lambda: work(environment)

    return Contender(name, DURABILITY, count, prepare)


def environment_at(path: Path, *, writemap: bool = True) -> "lmdb.Environment":
    import lmdb

    return lmdb.open(str(path), map_size=MAP_BYTES, sync=False, metasync=False, map_async=True, writemap=writemap)
