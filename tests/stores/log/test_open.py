"""Opening: what is made, what is accepted and what is refused."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from act_fast import Act, LogStore
from act_fast.errors import (
    StoreCorruptError,
    StoreError,
    StoreFailedError,
    StoreFormatError,
    StoreLockedError,
    ValidationError,
)
from tests.stores.log.checksum import crc32c
from tests.stores.log.conftest import Disk
from tests.support.numbered import numbers, pairs, positions, versions
from tests.support.processes import Tell, as_nobody, limit_descriptors, needs_proc, run, until

TEXT = b'"' + b"x" * 1000 + b'"'


def contents(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes and when it was last written to."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def with_format(path: Path, number: int, sealed: bool) -> None:
    """Let the first file of the log say that it has another format; `sealed`: with the right checksum over it."""
    file = path / "log" / "00000000.seg"
    head = bytearray(file.read_bytes()[:64])
    head[8:12] = number.to_bytes(4, "little")
    if sealed:
        head[60:64] = crc32c(head[:60]).to_bytes(4, "little")
    with file.open("r+b") as opened:
        opened.write(head)


def test_the_directory_is_made_when_it_is_not_there(store_path: Path) -> None:
    with LogStore(store_path) as store:
        assert store.head == 0
        assert store_path.is_dir()


def test_an_empty_directory_becomes_a_store(store_path: Path) -> None:
    store_path.mkdir()
    with LogStore(store_path) as store:
        store.append("a", pairs(1))
    with LogStore(store_path) as store:
        assert store.head == 1


def test_a_path_may_be_text_or_a_path_object(store_path: Path) -> None:
    with LogStore(str(store_path)) as store:
        store.append("a", pairs(1))
        assert store.path == str(store_path)
    with LogStore(store_path) as store:
        assert store.head == 1


def test_a_path_may_hold_any_letters(tmp_path: Path) -> None:
    for name in ("with space", "größe 北京", "-dash", "a.b.c", "%20", "'quoted\""):
        with LogStore(tmp_path / name) as store:
            store.append("a", pairs(1))
        with LogStore(tmp_path / name) as store:
            assert store.head == 1


@pytest.mark.parametrize("address", ["postgresql:/me:secret@host/bank", Path("mysql://me:secret@host/bank")])
def test_an_address_that_has_lost_a_slash_makes_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str | Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for opening in (LogStore, Act):
        with pytest.raises(ValidationError, match=r"is not an address|two slashes") as caught:
            opening(address)
        assert "secret" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_a_relative_path_stays_what_it_was_when_the_program_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with LogStore("store.act", segment_bytes=64 * 1024) as store:
        os.chdir("/")
        for _ in range(200):
            store.append("a", [("Padded", TEXT)])
        assert store.stats().segments > 2
    with LogStore(tmp_path / "store.act") as store:
        assert store.head == 200


def test_a_store_is_made_only_where_that_is_wanted(store_path: Path) -> None:
    with pytest.raises(StoreFormatError, match="no act-fast store"):
        LogStore(store_path, create=False)
    assert not store_path.exists()
    LogStore(store_path).close()
    LogStore(store_path, create=False).close()


def test_an_existing_store_keeps_the_segment_size_it_was_made_with(store_path: Path) -> None:
    with LogStore(store_path, segment_bytes=64 * 1024) as store:
        store.append("a", pairs(1))
    with LogStore(store_path, segment_bytes=1024 * 1024) as store:
        for _ in range(150):
            store.append("a", [("Padded", TEXT)])
        assert store.stats().segments > 2
        assert positions(store.query()) == list(range(1, 152))


def test_what_was_appended_is_there_after_opening_again_and_again(open_store: Callable[..., LogStore]) -> None:
    for turn in range(1, 21):
        with open_store() as store:
            assert store.head == (turn - 1) * 40
            for number in range(20):
                store.append(f"s-{number % 3}", [("Padded", TEXT), *pairs(1)])
    with open_store() as store:
        assert positions(store.query()) == list(range(1, 801))
        assert store.verify().healthy


def test_a_store_that_was_not_closed_opens_as_well(store_path: Path) -> None:
    first = LogStore(store_path, durability="os")
    first.append("a", pairs(10))
    del first
    with LogStore(store_path) as store:
        assert numbers(store.load("a")) == list(range(1, 11))


def test_many_handles_may_be_open_at_once(open_store: Callable[..., LogStore]) -> None:
    handles = [open_store() for _ in range(40)]
    for handle in handles:
        handle.append("a", pairs(1))
    assert {handle.head for handle in handles} == {40}


@needs_proc
def test_opening_and_closing_leaves_nothing_behind(store_path: Path) -> None:
    def held() -> tuple[int, int, int]:
        maps = Path("/proc/self/maps").read_text().count("store.act")
        return len(os.listdir("/proc/self/fd")), maps, len(os.listdir("/proc/self/task"))

    def use() -> None:
        with LogStore(store_path) as store:
            store.append("a", [("Padded", TEXT)] * 30)
            asyncio.run(store.wait_async(store.head, timeout=0))
            list(store.query())

    def alone(tell: Tell) -> None:
        """In a process without the threads of earlier tests, which could end in the middle of this one."""
        use()
        before = held()
        assert before[1:] == (0, 1)
        for _ in range(20):
            use()
        until(lambda: held() == before)  # the system lists a thread for some moments after it was joined

    run(alone)


def test_a_log_of_more_files_than_a_process_may_open_is_no_harm(store_path: Path) -> None:
    def use(tell: Tell) -> None:
        limit_descriptors(50)
        for turn in range(1, 3):
            with LogStore(store_path, segment_bytes=16 * 1024, durability="os") as store:
                for _ in range(1500):
                    store.append("a", [("Padded", TEXT)])
                assert store.stats().segments > 64
                assert versions(store.load("a")) == list(range(1, 1500 * turn + 1))
                assert positions(store.query(backwards=True)) == list(range(1500 * turn, 0, -1))
                assert store.verify().healthy
                store.rebuild_index()

    run(use)


def test_handles_that_disagree_about_durability_are_refused(open_store: Callable[..., LogStore]) -> None:
    open_store(durability="fsync")
    with pytest.raises(StoreLockedError, match="fsync"):
        open_store(durability="os")


def test_another_durability_may_be_chosen_once_the_others_have_closed(open_store: Callable[..., LogStore]) -> None:
    for turn, durability in enumerate(("fsync", "os", "interval", "fsync"), start=1):
        with open_store(durability=durability) as store:
            store.append("a", pairs(1))
            assert store.version("a") == turn


def test_a_file_is_refused_and_left_alone(store_path: Path) -> None:
    store_path.write_text("precious")
    for read_only, create in ((False, True), (True, True), (False, False)):
        with pytest.raises(StoreFormatError, match="is a file"):
            LogStore(store_path, read_only=read_only, create=create)
    assert store_path.read_text() == "precious"


def test_a_path_below_a_file_is_refused(store_path: Path) -> None:
    store_path.write_text("precious")
    with pytest.raises(StoreError):
        LogStore(store_path / "store.act")
    assert store_path.read_text() == "precious"


def test_a_directory_of_another_program_is_refused_and_left_alone(store_path: Path) -> None:
    store_path.mkdir()
    (store_path / "data.mdb").write_bytes(b"precious")
    for read_only, create in ((False, True), (True, True), (False, False)):
        with pytest.raises(StoreFormatError):
            LogStore(store_path, read_only=read_only, create=create)
    assert list(contents(store_path)) == ["data.mdb"]


def test_a_directory_that_only_looks_like_a_store_is_refused_and_left_alone(store_path: Path) -> None:
    (store_path / "log").mkdir(parents=True)
    (store_path / "log" / "00000000.seg").write_bytes(b"something else" * 1000)
    before = (store_path / "log" / "00000000.seg").read_bytes()
    with pytest.raises((StoreFormatError, StoreCorruptError)):
        LogStore(store_path)
    assert (store_path / "log" / "00000000.seg").read_bytes() == before


@pytest.mark.parametrize("control", ["kept", "removed"])
@pytest.mark.parametrize("options", [{}, {"read_only": True}], ids=["writing", "reading"])
def test_a_newer_format_is_refused_in_a_sentence_and_left_alone(
    open_store: Callable[..., LogStore], store_path: Path, control: str, options: dict[str, bool]
) -> None:
    with open_store() as store:
        store.append("a", pairs(1))
    with_format(store_path, 5, sealed=True)
    if control == "removed":
        (store_path / "control").unlink()
    before = (store_path / "log" / "00000000.seg").read_bytes()
    with pytest.raises(StoreFormatError, match="format 5"):
        open_store(**options)
    assert (store_path / "log" / "00000000.seg").read_bytes() == before


def test_a_format_number_that_does_not_fit_its_checksum_is_not_believed(
    open_store: Callable[..., LogStore], store_path: Path
) -> None:
    with open_store() as store:
        store.append("a", pairs(1))
    with (store_path / "control").open("r+b") as control:
        control.seek(8)
        control.write((2).to_bytes(4, "little"))
    with open_store() as store:
        assert numbers(store.query()) == [1]
        assert store.append("a", pairs(1)).first_position == 2


def test_a_damaged_format_number_is_damage_and_no_newer_format(
    open_store: Callable[..., LogStore], store_path: Path
) -> None:
    with open_store() as store:
        store.append("a", pairs(1))
    with_format(store_path, 2, sealed=False)
    with pytest.raises(StoreCorruptError) as caught:
        open_store()
    assert caught.value.file == "log/00000000.seg"
    assert 0 <= caught.value.offset < 64


def test_a_read_only_handle_reads_everything_and_appends_nothing(open_store: Callable[..., LogStore]) -> None:
    with open_store() as store:
        store.append("a", pairs(3))
        store.save_snapshot("a", 3, b"state")
    with open_store(read_only=True) as reader:
        assert numbers(reader.load("a")) == numbers(reader.query()) == [1, 2, 3]
        assert [info.stream for info in reader.streams()] == ["a"]
        assert (reader.head, reader.version("a"), reader.names()) == (3, 3, {"Counted": 3})
        snapshot = reader.latest_snapshot("a")
        assert snapshot is not None
        assert snapshot.data == b"state"
        assert reader.verify().healthy
        for write in (
            lambda: reader.append("a", pairs(1)),
            lambda: reader.save_snapshot("a", 3, b"x"),
            lambda: reader.rebuild_index(),
        ):
            with pytest.raises((ValidationError, StoreError), match="read"):
                write()
        assert reader.head == 3


def test_a_read_only_handle_writes_to_no_file_but_the_shared_one(
    open_store: Callable[..., LogStore], store_path: Path
) -> None:
    with open_store() as store:
        store.append("a", pairs(3))
    before = contents(store_path)
    with open_store(read_only=True) as reader:
        assert numbers(reader.query()) == [1, 2, 3]
        reader.wait(3, timeout=0.01)
    after = contents(store_path)
    assert before.keys() == after.keys()
    assert {name for name in after if after[name] != before[name]} <= {"control"}


def test_a_read_only_handle_follows_a_writer(open_store: Callable[..., LogStore]) -> None:
    writer = open_store()
    reader = open_store(read_only=True)
    for turn in range(1, 101):
        writer.append("a", [("Padded", TEXT)])
        assert reader.wait(turn - 1) == turn
        assert reader.version("a") == turn
    assert positions(reader.query()) == list(range(1, 101))


def test_reading_only_needs_a_store_that_is_there(store_path: Path) -> None:
    with pytest.raises(StoreFormatError):
        LogStore(store_path, read_only=True)
    assert not store_path.exists()


def test_a_disk_that_cannot_be_written_refuses_writers_and_serves_readers(disk: Disk) -> None:
    path = disk.place / "store.act"
    with LogStore(path, segment_bytes=64 * 1024) as store:
        store.append("a", pairs(3))
    disk.be("ro")
    with pytest.raises(StoreError):
        LogStore(path)
    with pytest.raises(StoreError):
        LogStore(disk.place / "another.act")
    with LogStore(path, read_only=True) as reader:
        assert numbers(reader.query()) == [1, 2, 3]


@pytest.fixture
def place_of_others() -> Iterator[Path]:
    """A directory that anybody may look into and nobody but its owner may write to."""
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


def test_a_directory_without_the_right_to_write_refuses_writers_and_serves_readers(place_of_others: Path) -> None:
    if os.geteuid():
        pytest.skip("needs to be root, so as to become nobody")
    with LogStore(place_of_others / "store.act") as store:
        store.append("a", pairs(3))

    def look(tell: Tell) -> None:
        as_nobody()
        for path in (place_of_others / "store.act", place_of_others / "another.act"):
            with pytest.raises(StoreError):
                LogStore(path)
        with LogStore(place_of_others / "store.act", read_only=True) as reader:
            assert numbers(reader.query()) == numbers(reader.load("a")) == [1, 2, 3]
            assert reader.wait(3, timeout=0.05) == 3
            assert reader.verify().healthy

    run(look)


def test_a_directory_without_the_right_to_look_is_refused(place_of_others: Path) -> None:
    if os.geteuid():
        pytest.skip("needs to be root, so as to become nobody")
    with LogStore(place_of_others / "store.act") as store:
        store.append("a", pairs(3))
    place_of_others.chmod(0o700)

    def look(tell: Tell) -> None:
        as_nobody()
        for read_only in (False, True):
            with pytest.raises(StoreError):
                LogStore(place_of_others / "store.act", read_only=read_only)

    run(look)


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
def test_a_store_deleted_under_a_running_process_takes_no_more_appends(
    open_store: Callable[..., LogStore], store_path: Path, durability: str
) -> None:
    store = open_store(durability=durability)
    store.append("a", pairs(10))
    shutil.rmtree(store_path)

    def refused() -> bool:
        try:
            store.append("a", pairs(1))
        except StoreFailedError:
            return True
        return False

    until(refused)
    with contextlib.suppress(StoreError):  # what was not looked at before the files went may be out of reach
        assert numbers(store.load("a"))[:10] == list(range(1, 11))
    assert not store_path.exists()
    store.close()
    assert not store_path.exists()


def test_a_store_made_anew_where_one_was_deleted_is_another_store(
    open_store: Callable[..., LogStore], store_path: Path
) -> None:
    old = open_store()
    old.append("a", pairs(10))
    shutil.rmtree(store_path)
    new = open_store()
    new.append("b", pairs(2))
    with pytest.raises(StoreError):
        old.append("a", pairs(1))
    assert (new.head, new.version("a")) == (2, 0)
    with contextlib.suppress(StoreError):
        assert numbers(old.load("a")) == list(range(1, 11))
    assert new.verify().healthy


def test_a_store_that_was_moved_away_does_not_write_into_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "store.act"

    def fill(store: LogStore) -> None:
        for _ in range(300):
            store.append("b", [("Padded", TEXT)])

    with LogStore(path, segment_bytes=64 * 1024) as old:
        old.append("a", pairs(1))
        path.rename(tmp_path / "old.act")
        with LogStore(path, segment_bytes=64 * 1024) as new:
            new.append("b", pairs(1))
            with pytest.raises(StoreError):
                fill(old)
            fill(new)
            assert positions(new.query(stream="b")) == list(range(1, 302))
            assert new.verify().healthy
    with LogStore(tmp_path / "old.act") as moved:
        assert positions(moved.query()) == list(range(1, moved.head + 1))
        assert moved.verify().healthy


def test_a_copy_of_a_closed_store_is_a_store(open_store: Callable[..., LogStore], tmp_path: Path) -> None:
    with open_store() as store:
        for _ in range(100):
            store.append("a", [("Padded", TEXT)])
        store.save_snapshot("a", 100, b"state")
    shutil.copytree(tmp_path / "store.act", tmp_path / "copy.act")
    with LogStore(tmp_path / "copy.act") as copy, open_store() as store:
        assert list(copy.query()) == list(store.query())
        copy.append("a", pairs(1))
        assert (copy.head, store.head) == (101, 100)
        assert copy.verify().healthy


@pytest.mark.parametrize("lost", ["control", "index", "locks"])
def test_every_file_but_the_log_can_be_made_anew(
    open_store: Callable[..., LogStore], store_path: Path, lost: str
) -> None:
    with open_store() as store:
        for number in range(200):
            store.append(f"s-{number % 7}", [("Padded", TEXT), *pairs(1)])
        store.save_snapshot("s-1", 5, b"state")
        before = (list(store.query()), list(store.streams()), store.names(), store.latest_snapshot("s-1"))
    if (store_path / lost).is_dir():
        shutil.rmtree(store_path / lost)
    else:
        (store_path / lost).unlink()
    with open_store() as store:
        assert (list(store.query()), list(store.streams()), store.names(), store.latest_snapshot("s-1")) == before
        assert store.append("s-1", pairs(1)).first_position == 401
        assert store.verify().healthy
