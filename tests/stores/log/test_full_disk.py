"""A full disk: an error before anything is written, reads that go on, and appends again once there is room."""

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import Append, LogStore
from act_fast.errors import StoreError, StoreFullError
from tests.stores.log.conftest import Disk
from tests.support.numbered import pairs, positions, versions
from tests.support.processes import Tell, run

SEGMENT_BYTES = 256 * 1024
TEXT = b'"' + b"x" * 1000 + b'"'


def large_events(store: LogStore, number: int) -> None:
    store.append("a", [("Padded", TEXT)] * 3)


def new_streams(store: LogStore, number: int) -> None:
    streams = [f"{number}-{each}-{'n' * 100}" for each in range(50)]
    store.append_many([Append(stream, pairs(1)) for stream in streams])


def many_small_events(store: LogStore, number: int) -> None:
    store.append_many([Append(f"s-{each}", [("Tiny", b"1")] * 20) for each in range(20)])


def new_names(store: LogStore, number: int) -> None:
    store.append("a", [(f"{number}-{each}-{'n' * 100}", b"1") for each in range(20)])


def snapshots(store: LogStore, number: int) -> None:
    store.append("a", pairs(1))
    store.save_snapshot("a", store.version("a"), b"x" * 5000)


WORK = [large_events, new_streams, many_small_events, new_names, snapshots]


def fill(store: LogStore, work: Callable[[LogStore, int], None]) -> None:
    """Append until the disk is full, and make sure that being full is all that happened."""
    for number in range(100_000):
        head, counts = store.head, store.names()
        try:
            work(store, number)
        except StoreFullError:
            check(store, head if work is not snapshots else store.head)
            assert work is snapshots or store.names() == counts
            return
    raise AssertionError("the disk is never full")


def check(store: LogStore, head: int) -> None:
    assert store.head == head
    assert positions(store.query()) == list(range(1, head + 1))
    for info in store.streams(limit=50):
        assert versions(store.load(info.stream)) == list(range(1, info.version + 1))
    report = store.verify()
    assert report.healthy, report.problems


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
@pytest.mark.parametrize("work", WORK, ids=[work.__name__ for work in WORK])
def test_a_full_disk_loses_nothing_and_is_no_end(
    disk: Disk, durability: str, work: Callable[[LogStore, int], None]
) -> None:
    path = disk.place / "store.act"
    options = {"durability": durability, "segment_bytes": SEGMENT_BYTES}
    disk.be("size=3m")

    def until_full(tell: Tell) -> None:
        with LogStore(path, **options) as store:  # type: ignore[arg-type]
            fill(store, work)
            tell(store.head)

    def still_full(tell: Tell) -> None:
        with LogStore(path, read_only=True) as reader:
            check(reader, head)

    def with_room_again(tell: Tell) -> None:
        with LogStore(path, **options) as store:  # type: ignore[arg-type]
            check(store, head)
            work(store, 10**6)
            check(store, store.head)
            assert store.head > head

    # Each in a process of its own: a SIGBUS is an exit code there, and not the end of this one.
    head = int(run(until_full)[0][0])
    run(still_full)
    disk.be("size=16m")
    run(with_room_again)


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
def test_a_handle_goes_on_by_itself_when_there_is_room_again(disk: Disk, durability: str) -> None:
    disk.be("size=2m")

    def fill_and_go_on(tell: Tell) -> None:
        path = disk.place / "store.act"
        with LogStore(path, durability=durability, segment_bytes=SEGMENT_BYTES) as store:  # type: ignore[arg-type]
            fill(store, large_events)
            with pytest.raises(StoreFullError):
                large_events(store, 0)
            head = store.head
            disk.be("size=16m")
            large_events(store, 0)
            check(store, head + 3)

    run(fill_and_go_on)


def test_a_store_cannot_be_made_on_a_full_disk_and_can_once_there_is_room(disk: Disk) -> None:
    (disk.place / "ballast").write_bytes(b"x" * (16 * 1024 * 1024 - 64 * 1024))

    def too_early(tell: Tell) -> None:
        with pytest.raises(StoreError), LogStore(disk.place / "store.act"):
            pass

    def in_time(tell: Tell) -> None:
        with LogStore(disk.place / "store.act") as store:
            store.append("a", pairs(1))
            check(store, 1)

    run(too_early)
    (disk.place / "ballast").unlink()
    run(in_time)


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
def test_a_file_size_limit_is_a_full_disk(store_path: Path, durability: str) -> None:
    def limited(tell: Tell) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with LogStore(store_path, durability=durability, segment_bytes=4 * SEGMENT_BYTES) as store:  # type: ignore[arg-type]
            store.append("a", pairs(1))
            resource.setrlimit(resource.RLIMIT_FSIZE, (2 * SEGMENT_BYTES, resource.RLIM_INFINITY))
            fill(store, large_events)
            head = store.head
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            large_events(store, 0)
            check(store, head + 3)

    run(limited)


def ballast(disk: Disk) -> None:
    """Fill the disk to its last block."""
    with (disk.place / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def copy_with_holes(source: Path, target: Path) -> None:
    """Copy a store as backup tools do that leave out what is only zeros."""
    subprocess.run(["cp", "-r", "--sparse=always", source, target], check=True)


def blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.mark.parametrize("durability", ["interval", "os"])
@pytest.mark.parametrize("place", ["a new place", "the same files"])
def test_a_store_copied_with_holes_has_its_blocks_again_before_it_is_written_to(
    disk: Disk, store_path: Path, durability: str, place: str
) -> None:
    options = {"durability": durability, "segment_bytes": SEGMENT_BYTES}
    copy = disk.place / "copy.act"
    with LogStore(store_path if place == "a new place" else copy, **options) as store:  # type: ignore[arg-type]
        large_events(store, 0)
        store.reactions().close()
    if place == "a new place":
        copy_with_holes(store_path, copy)
    else:
        for file in copy.rglob("*"):
            if file.is_file():
                subprocess.run(["fallocate", "--dig-holes", file], check=True)
    segment = copy / "log" / "00000000.seg"
    assert blocks(segment) < segment.stat().st_size

    def open_with_room_and_fill(tell: Tell) -> None:
        with LogStore(copy, **options) as store:  # type: ignore[arg-type]
            reactions = store.reactions()
            for file in copy.rglob("*"):
                if file.is_file() and file.parent.name != "locks":
                    assert blocks(file) >= file.stat().st_size, file
            ballast(disk)
            fill(store, large_events)
            reactions.close()

    run(open_with_room_and_fill)


@pytest.mark.parametrize("durability", ["interval", "os"])
def test_a_store_copied_with_holes_onto_a_disk_that_is_full_is_an_error_and_no_signal(
    disk: Disk, store_path: Path, durability: str
) -> None:
    options = {"durability": durability, "segment_bytes": SEGMENT_BYTES}
    copy = disk.place / "copy.act"
    with LogStore(store_path, **options) as store:  # type: ignore[arg-type]
        large_events(store, 0)
    copy_with_holes(store_path, copy)
    ballast(disk)

    def too_early(tell: Tell) -> None:
        with pytest.raises(StoreFullError):
            LogStore(copy, **options)  # type: ignore[arg-type]

    def in_time(tell: Tell) -> None:
        with LogStore(copy, **options) as store:  # type: ignore[arg-type]
            large_events(store, 1)
            check(store, 6)

    run(too_early)
    (disk.place / "ballast").unlink()
    run(in_time)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_export_onto_a_full_disk_says_that_it_is_full_and_leaves_nothing(
    disk: Disk, store_path: Path, ending: str
) -> None:
    with LogStore(store_path) as store:
        for number in range(300):
            store.append("a", [("Padded", b'"%d%s"' % (number, os.urandom(8000).hex().encode()))])
        disk.be("size=1m")
        with pytest.raises(StoreFullError, match=str(disk.place)):
            store.export(disk.place / f"events.{ending}")
        with pytest.raises(StoreFullError):
            store.backup(disk.place / "backup.act")
        assert list(disk.place.iterdir()) == []


def test_what_may_not_be_written_or_read_is_an_error_of_the_store(disk: Disk, tmp_path: Path) -> None:
    disk.be("ro")
    with LogStore(tmp_path / "store.act") as store:
        store.append("a", pairs(1))
        for ending in ("jsonl", "csv", "parquet"):
            with pytest.raises(StoreError, match=r"events\.\w+ cannot be written"):
                store.export(disk.place / f"events.{ending}")
        with pytest.raises(StoreError, match="ackup"):
            store.backup(disk.place / "backup.act")
        (tmp_path / "a-folder.jsonl").mkdir()
        with pytest.raises(StoreError, match="a-folder"):
            store.restore(tmp_path / "a-folder.jsonl", replace=True)
        assert positions(store.query()) == [1]
