"""A full disk while a log is pruned, compressed or archived: nothing changes, and with room the next one goes on."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from act_fast import LogStore
from act_fast.errors import ArchiveUnavailableError, StoreFullError
from tests.stores.log.conftest import Disk
from tests.support.processes import Tell, run

SEGMENT_BYTES = 256 * 1024
EVENTS = 1200
CLOSED = 10

Row = tuple[int, str, int, str, bytes, tuple[str, ...]]


def fill(path: Path) -> None:
    """A store of some 1.3 MiB, where half of the streams are closed for good."""
    with LogStore(path, durability="os", segment_bytes=SEGMENT_BYTES) as store:
        for number in range(EVENTS):
            data = b'{"number":%d,"pad":"%s"}' % (number, os.urandom(450).hex().encode())
            store.append(
                f"s-{number % (2 * CLOSED)}", [("Padded", data, [f"t:{number % 3}"] if number % 7 == 0 else [])]
            )
        for number in range(CLOSED):
            store.append(f"s-{number}", [("$closed", b'{"state":{}}')])


def rows(path: Path) -> list[Row]:
    """All that is in a store, which must be sound."""
    with LogStore(path, durability="os", read_only=True) as store:
        report = store.verify()
        assert report.healthy, report.problems
        return [(e.position, e.stream, e.version, e.name, e.data, e.tags) for e in store.query()]


def taken(folder: Path) -> int:
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def left_behind(path: Path) -> list[str]:
    """What was begun and not finished."""
    return [str(each) for each in path.rglob("*") if each.suffix == ".tmp" and each.name != "next.tmp"] + [
        str(each) for each in path.glob("making*")
    ]


def rooms(disk: Disk, step: int) -> Iterator[int]:
    """Let the disk have a little more room each time, until it has enough."""
    before = taken(disk.place)
    for room in range(4096, 8 << 20, step):
        disk.be(f"size={before + room}")
        yield room
        disk.be("size=16m")
    raise AssertionError("there is never enough room")


def tried(path: Path, work: Callable[[LogStore], object], kind: type[Exception]) -> str:
    """What became of it, in a process of its own: a SIGBUS is an exit code there."""

    def body(tell: Tell) -> None:
        try:
            with LogStore(path, durability="os") as store:
                work(store)
        except (kind, StoreFullError) as error:
            print(type(error).__name__, error, file=sys.stderr)
            tell("full")
        else:
            tell("done")

    ((outcome,),) = run(body)
    return outcome


def test_a_prune_on_a_full_disk_changes_nothing_until_there_is_room(disk: Disk) -> None:
    path = disk.place / "store.act"
    fill(path)
    before = rows(path)
    outcomes = []
    for _ in rooms(disk, 192 << 10):
        outcomes.append(tried(path, lambda store: store.prune(), StoreFullError))
        if outcomes[-1] == "done":
            break
        assert left_behind(path) == []
        assert rows(path) == before
    disk.be("size=16m")
    after = rows(path)
    assert outcomes.count("full") > 3
    assert after[-1][1] == "$rewritings"
    for old, new in zip(before, after[:-1], strict=True):
        gone = int(old[1].removeprefix("s-")) < CLOSED and not old[5] and old[3] == "Padded"
        assert new == ((*old[:4], b'"pruned"', old[5]) if gone else old)
    assert left_behind(path) == []
    with LogStore(path, durability="os") as store:
        store.append("s-11", [("Padded", b"1")])
        assert store.verify().healthy


def test_a_redaction_on_a_full_disk_changes_nothing_until_there_is_room(disk: Disk) -> None:
    path = disk.place / "store.act"
    fill(path)
    before = rows(path)
    outcomes = []
    for _ in rooms(disk, 384 << 10):
        work = lambda store: store.redact([5], drop=True, reason="a mistake")  # noqa: E731
        outcomes.append(tried(path, work, StoreFullError))
        if outcomes[-1] == "done":
            break
        assert rows(path) == before
    disk.be("size=16m")
    assert outcomes.count("full") > 1
    assert [row[4] for row in rows(path)][4] == b'"redacted"'


@pytest.mark.parametrize("verb", ["compress", "archive"])
def test_log_files_that_have_no_room_for_another_form_stay_as_they_are(disk: Disk, tmp_path: Path, verb: str) -> None:
    path = disk.place / "store.act"
    fill(path)
    before = rows(path)
    works: dict[str, Callable[[LogStore], object]] = {
        "compress": lambda store: store.compress(),
        "archive": lambda store: store.archive(tmp_path / "cold"),
    }
    outcomes = []
    for _ in rooms(disk, (24 if verb == "compress" else 8) << 10):
        outcomes.append(tried(path, works[verb], StoreFullError))
        assert rows(path) == before
        assert left_behind(path) == []
        if outcomes[-1] == "done":
            break
    assert outcomes.count("full") > 0


def test_an_archive_on_a_full_disk_takes_what_fits_and_the_rest_later(disk: Disk, tmp_path: Path) -> None:
    path, cold = tmp_path / "store.act", disk.place / "cold"
    fill(path)
    before = rows(path)
    seen = set()
    for _ in rooms(disk, 320 << 10):
        outcome = tried(path, lambda store: store.archive(cold), ArchiveUnavailableError)
        assert rows(path) == before
        with LogStore(path, durability="os") as store:
            seen.add(store.stats().archived)
        if outcome == "done":
            break
    disk.be("size=16m")
    assert len(seen) > 3, "each file by itself"
    assert left_behind(cold) == []
