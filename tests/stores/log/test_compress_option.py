"""Log files compressed in the background, where that is asked for: each once, and in nobody's way."""

import fcntl
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from act_fast import LogStore, StoreError, StoreLockedError
from tests.support.processes import Tell, run, started, until

SEGMENT_BYTES = 16 << 10
CALLS: dict[str, Callable[[LogStore, Path], Any]] = {
    "compress": lambda store, _: store.compress(),
    "decompress": lambda store, _: store.decompress(),
    "archive": lambda store, path: store.archive(path / "archive", parquet=False),
    "unarchive": lambda store, _: store.unarchive(),
}


def append(store: LogStore, numbers: range) -> None:
    for number in numbers:
        store.append(f"s-{number % 5}", [("Happened", b'{"number":%d,"pad":"%s"}' % (number, b"pad" * 60))])


def numbers(store: LogStore) -> list[int]:
    """What is in the store, which must be sound."""
    assert store.verify().healthy
    return sorted(int(event.data[len(b'{"number":') :].partition(b",")[0]) for event in store.query())


def all_compressed(store: LogStore) -> Callable[[], bool]:
    def look() -> bool:
        stats = store.stats()
        return stats.compressed == stats.segments - 1 > 3

    return look


def filled(path: Path, events: int) -> None:
    with LogStore(path, durability="os", segment_bytes=SEGMENT_BYTES) as store:
        append(store, range(events))


def test_files_are_compressed_once_nothing_is_written_to_them_any_more(tmp_path: Path) -> None:
    with LogStore(tmp_path / "s.act", durability="os", segment_bytes=SEGMENT_BYTES, compress=True) as store:
        for part in (range(300), range(300, 600)):
            append(store, part)
            until(all_compressed(store))
        assert numbers(store) == list(range(600))


def test_the_option_begins_with_what_is_there_and_without_it_files_stay_as_they_are(tmp_path: Path) -> None:
    filled(tmp_path / "s.act", 300)
    with LogStore(tmp_path / "s.act", durability="os", compress=True) as store:
        until(all_compressed(store))
    with LogStore(tmp_path / "s.act", durability="os") as store:
        assert all_compressed(store)()
        assert store.decompress().segments > 3
        append(store, range(300, 600))
        assert store.stats().compressed == 0
        assert numbers(store) == list(range(600))


def test_several_programs_with_the_option_compress_each_file_once(tmp_path: Path) -> None:
    path = tmp_path / "s.act"
    filled(path, 300)

    def work(first: int) -> Callable[[Tell], None]:
        def body(tell: Tell) -> None:
            with LogStore(path, durability="os", compress=True) as store:
                append(store, range(first, first + 200))
                tell("done")
                until(all_compressed(store))

        return body

    run(work(300), work(500), work(700))
    with LogStore(path, durability="os") as store:
        assert all_compressed(store)()
        assert numbers(store) == list(range(900))
        replaced = (path / "control").read_bytes()[21 * 64 :][:4]
        assert int.from_bytes(replaced, "little") == store.stats().compressed


def test_a_program_that_is_killed_leaves_a_whole_store_which_the_next_one_goes_on_with(tmp_path: Path) -> None:
    path, events = tmp_path / "s.act", 900
    filled(path, events)
    seed = int(os.environ.get("ACT_FAST_SEED", "0")) or random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)

    def body(tell: Tell) -> None:
        with LogStore(path, durability="os", compress=True):
            tell("open")
            time.sleep(60)

    for _ in range(5):
        with started(body) as (process,):
            assert process.next_line() == "open"
            time.sleep(rng.random() / 10)
            process.kill()
            process.wait()
        with LogStore(path, durability="os") as store:
            assert numbers(store) == list(range(events))
    with LogStore(path, durability="os", compress=True) as store:
        until(all_compressed(store))
        assert numbers(store) == list(range(events))
        assert sorted(name for name in os.listdir(path / "log") if not name.endswith(".seg")) in ([], ["next.tmp"])


def slow(path: Path) -> None:
    """A store with one log file that takes long to compress, and the beginning of another."""
    rng = random.Random(1)
    with LogStore(path, durability="os", segment_bytes=32 << 20) as store:
        while store.stats().segments == 1:
            store.append("s", [("Happened", b'"%s"' % rng.randbytes(256 << 10).hex().encode())])


def in_background(path: Path) -> Callable[[], bool]:
    """Whether some program is just compressing."""

    def look() -> bool:
        try:
            file = os.open(path / "locks/keeping", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    return look


def test_closing_leaves_a_file_as_it_is_that_is_being_compressed(tmp_path: Path) -> None:
    path = tmp_path / "s.act"
    slow(path)
    with LogStore(path, durability="os", compress=True):
        until(in_background(path))
    with LogStore(path, durability="os") as store:
        assert store.stats().compressed == 0
        assert not (path / "log/changing.tmp").exists()
        assert store.verify().healthy


@pytest.mark.parametrize("call", CALLS)
def test_what_a_program_asks_for_goes_before_what_is_done_in_the_background(tmp_path: Path, call: str) -> None:
    path = tmp_path / "s.act"
    slow(path)
    with LogStore(path, durability="os", compress=True) as store:
        until(in_background(path))
        CALLS[call](store, tmp_path)
        assert store.verify().healthy


@pytest.mark.parametrize("call", CALLS)
def test_it_also_goes_before_what_another_program_does_in_the_background(tmp_path: Path, call: str) -> None:
    path = tmp_path / "s.act"
    slow(path)

    def body(tell: Tell) -> None:
        with LogStore(path, durability="os", compress=True) as store:
            tell("open")
            until(lambda: store.stats().segments == 3)

    with started(body) as (process,), LogStore(path, durability="os") as store:
        assert process.next_line() == "open"
        until(in_background(path))
        CALLS[call](store, tmp_path)
        assert store.verify().healthy
        store.compress(seal=True)
        assert process.wait() == 0


def test_who_changes_log_files_at_the_behest_of_a_program_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.act"
    filled(path, 300)

    def body(tell: Tell) -> None:
        def stop(done: int, total: int) -> None:
            tell(done)
            os.kill(os.getpid(), signal.SIGSTOP)

        with LogStore(path, durability="os") as store:
            store.compress(progress=stop)

    with started(body) as (process,), LogStore(path, durability="os", compress=True) as store:
        process.next_line()
        with pytest.raises(StoreLockedError, match=rf"by process {process.pid}; wait until that is done"):
            store.decompress()


def test_a_store_that_was_taken_away_changes_nothing_in_the_one_that_took_its_place(tmp_path: Path) -> None:
    path = tmp_path / "s.act"
    slow(path)
    with LogStore(path, durability="os") as store:
        store.backup(tmp_path / "copy.act")
        path.rename(tmp_path / "away.act")
        (tmp_path / "copy.act").rename(path)
        before = sorted(each.relative_to(path) for each in path.rglob("*"))
        for call in CALLS.values():
            with pytest.raises(StoreError, match="deleted, moved or replaced"):
                call(store, tmp_path)
        assert sorted(each.relative_to(path) for each in path.rglob("*")) == before
