"""A log whose end is torn: what is left is a prefix of what was appended, in whole commits, and the store goes on.

A machine's crash is played on a copy of a store that was not closed: a copy has no shared memory that could be trusted,
so all of it is made anew from the log, as it would be after a restart.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import Append, Committed, LogStore
from tests.support.numbered import pairs
from tests.support.processes import Tell, run

COMMITS = 120


def append_all(store: LogStore) -> None:
    dice = random.Random(7)
    for number in range(COMMITS):
        padding = ("Padded", b'"' + b"x" * dice.choice([0, 10, 100, 3000]) + b'"')
        store.append_many(
            [Append(f"s-{number % 5}", [padding] * dice.randrange(1, 4)), Append("all", pairs(1, number))]
        )
        if number % 30 == 29:
            store.save_snapshot("all", number, b"%d" % number)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Committed[bytes]]]:
    """A store that nobody has flushed or closed, and the events that were appended to it."""
    path = tmp_path_factory.mktemp("crashed") / "store.act"
    never_closed: list[LogStore] = []

    def write(tell: Tell) -> None:
        never_closed.append(LogStore(path, durability="os", segment_bytes=64 * 1024))
        append_all(never_closed[0])

    run(write)
    shutil.copytree(path, path.with_name("opened.act"))
    with LogStore(path.with_name("opened.act"), durability="os") as store:
        return path, list(store.query())


def zeros_from(data: bytearray, offset: int, dice: random.Random) -> None:
    data[offset:] = bytes(len(data) - offset)


def noise_from(data: bytearray, offset: int, dice: random.Random) -> None:
    data[offset:] = dice.randbytes(len(data) - offset)


def some_sectors_lost(data: bytearray, offset: int, dice: random.Random) -> None:
    for sector in range(offset // 512, len(data) // 512):
        if sector == offset // 512 or dice.random() < 0.5:
            data[sector * 512 : sector * 512 + 512] = bytes(512)


def one_sector_lost(data: bytearray, offset: int, dice: random.Random) -> None:
    data[offset // 512 * 512 : offset // 512 * 512 + 512] = bytes(512)


def shorter_file(data: bytearray, offset: int, dice: random.Random) -> None:
    del data[offset:]


@pytest.mark.parametrize("kept_later", [False, True], ids=["later files lost", "later files kept"])
@pytest.mark.parametrize("tear", [zeros_from, noise_from, some_sectors_lost, one_sector_lost, shorter_file])
def test_a_torn_tail_is_cut_at_the_last_whole_commit(
    crashed: tuple[Path, list[Committed[bytes]]],
    tmp_path: Path,
    dice: random.Random,
    tear: Callable[[bytearray, int, random.Random], None],
    kept_later: bool,
) -> None:
    path, events = crashed
    files = sorted(file.name for file in (path / "log").glob("*.seg"))
    for turn in range(8):
        copy = tmp_path / f"copy-{turn}.act"
        shutil.copytree(path, copy)
        number = dice.randrange(len(files))
        torn = copy / "log" / files[number]
        data = bytearray(torn.read_bytes())
        # Not in the first sector: a file's head is flushed before the file gets its name.
        tear(data, dice.randrange(512, len(bytes(data).rstrip(b"\0"))), dice)
        torn.write_bytes(data)
        for name in files[number + 1 :]:
            if not kept_later:
                (copy / "log" / name).unlink()

        def look(tell: Tell, copy: Path = copy) -> None:
            with LogStore(copy, durability="os") as store:
                found = list(store.query())
                assert found == events[: len(found)]
                assert not found or found[-1].stream == "all", "half a commit"
                assert store.verify().healthy
                assert store.append("all", pairs(1)).first_position == len(found) + 1
                assert store.verify().healthy
            with LogStore(copy, durability="os") as store:
                assert store.head == len(found) + 1

        run(look)


def test_an_untorn_copy_of_a_store_that_was_not_closed_has_everything(
    crashed: tuple[Path, list[Committed[bytes]]], tmp_path: Path
) -> None:
    path, events = crashed
    assert len(events) > 2 * COMMITS
    shutil.copytree(path, tmp_path / "copy.act")
    with LogStore(tmp_path / "copy.act") as store:
        assert list(store.query()) == events
        snapshot = store.latest_snapshot("all")
        assert snapshot is not None
        assert snapshot.data == b"119"
        assert store.verify().healthy
