"""Verifying, and what becomes of damage: it is found, told with file and offset, and never handed out as data."""

import contextlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import Append, Committed, LogStore, VerifyReport, verify_path
from act_fast.errors import StoreCorruptError, StoreError, StoreFormatError
from tests.support.numbered import pairs, versions
from tests.support.processes import Tell, run

SEGMENT_BYTES = 64 * 1024
TEXT = b'"' + b"x" * 1000 + b'"'


@pytest.fixture
def filled(open_store: Callable[..., LogStore], store_path: Path) -> Path:
    """A closed store: 400 events in 250 commits over several segments, and two snapshots."""
    with open_store(durability="interval", flush_interval=60) as store:
        for number in range(200):
            store.append(f"s-{number % 5}", [("Padded", TEXT)])
        for number in range(50):
            store.append_many([Append(f"s-{number % 5}", pairs(2)), Append("all", pairs(2))])
        store.save_snapshot("all", 10, b"ten")
        store.save_snapshot("all", 100, b"hundred")
    return store_path


def segment(path: Path, number: int) -> Path:
    return path / "log" / f"{number:08}.seg"


def flip(file: Path, offset: int, bits: int = 0x01) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        byte = opened.read(1)[0]
        opened.seek(offset)
        opened.write(bytes([byte ^ bits]))


def offset_of(file: Path, data: bytes) -> int:
    """Where `data` is first found in a file."""
    found = file.read_bytes().find(data)
    assert found >= 0
    return found


def everything(path: Path) -> list[Committed[bytes]]:
    with LogStore(path, read_only=True) as store:
        return list(store.query())


def test_a_healthy_store_is_reported_in_numbers(filled: Path) -> None:
    report = verify_path(filled)
    assert report.healthy
    assert (report.events, report.commits, report.snapshots, report.streams) == (400, 250, 2, 6)
    assert report.bytes > 200 * len(TEXT)
    assert report.index_checked
    assert report.problems == []


def test_an_open_store_is_verified_like_a_closed_one(filled: Path) -> None:
    closed = verify_path(filled)
    with LogStore(filled) as store:
        assert verify_path(filled).events == store.verify().events == closed.events
        store.append("a", pairs(3))
        assert store.verify().events == 403
        assert store.verify().healthy


def test_a_store_can_be_verified_wherever_it_is(store: LogStore) -> None:
    assert store.verify().healthy
    store.append("a", pairs(10))
    store.append("b", pairs(1))
    report = store.verify()
    assert report.healthy
    assert (report.events, report.commits, report.streams) == (11, 2, 2)


def test_verifying_tells_how_far_it_is(filled: Path) -> None:
    told: list[tuple[int, int]] = []
    verify_path(filled, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    done, total = told[-1]
    assert done == total > 0


def test_an_error_of_the_listener_ends_the_work_and_comes_back(filled: Path) -> None:
    def listen(done: int, total: int) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        verify_path(filled, progress=listen)
    with LogStore(filled) as store:
        with pytest.raises(LookupError, match="enough"):
            store.verify(progress=listen)
        assert store.verify().healthy


def test_a_damaged_event_is_told_with_file_offset_and_position(filled: Path) -> None:
    offset = offset_of(segment(filled, 1), TEXT)
    flip(segment(filled, 1), offset + 500)
    report = verify_path(filled)
    assert not report.healthy
    (problem,) = report.problems
    assert problem.file == "log/00000001.seg"
    assert offset - 200 < problem.offset <= offset
    assert problem.position == first_position_of_segment_1(filled)
    assert problem.message
    assert report.events == 399


def first_position_of_segment_1(path: Path) -> int:
    """The position of the first event whose data lies in the second file of the log."""
    return segment(path, 0).read_bytes().count(TEXT) + 1


def test_a_damaged_event_is_an_error_and_its_neighbours_are_not(filled: Path) -> None:
    position = first_position_of_segment_1(filled)
    before = everything(filled)
    damaged = before[position - 1]
    flip(segment(filled, 1), offset_of(segment(filled, 1), TEXT) + 500)
    with LogStore(filled) as store:
        with pytest.raises(StoreCorruptError) as caught:
            list(store.load(damaged.stream))
        assert caught.value.file == "log/00000001.seg"
        assert caught.value.position == position
        assert "damaged" in str(caught.value)
        with pytest.raises(StoreCorruptError):
            list(store.query())
        with pytest.raises(StoreCorruptError):
            list(store.query(backwards=True))
        assert list(store.query(after=position)) == before[position:]
        assert list(store.query(before=position)) == before[: position - 1]
        later = list(store.load(damaged.stream, after=damaged.version))
        assert versions(later) == list(range(damaged.version + 1, store.version(damaged.stream) + 1))
        other = next(event.stream for event in before if event.stream != damaged.stream)
        assert versions(store.load(other)) == list(range(1, store.version(other) + 1))


def test_two_damages_are_two_problems(filled: Path) -> None:
    for number in (1, 2):
        flip(segment(filled, number), offset_of(segment(filled, number), TEXT) + 500)
    report = verify_path(filled)
    assert [problem.file for problem in report.problems] == ["log/00000001.seg", "log/00000002.seg"]
    assert report.events == 398


def test_no_flipped_bit_of_the_log_is_ever_handed_out(filled: Path, dice: random.Random) -> None:
    before = everything(filled)
    for _ in range(100):
        number = dice.randrange(4)
        file = segment(filled, number)
        used = file.read_bytes().rstrip(b"\0")
        offset, bits = dice.randrange(len(used)), 1 << dice.randrange(8)
        flip(file, offset, bits)
        report = verify_path(filled)
        assert not report.healthy, (file.name, offset, bits)
        assert report.problems[0].file == f"log/{file.name}"
        assert report.problems[0].offset <= offset
        assert_never_wrong(filled, before)
        flip(file, offset, bits)
    assert verify_path(filled).healthy
    assert everything(filled) == before


def assert_never_wrong(path: Path, before: list[Committed[bytes]]) -> None:
    """Read the store in every way: each answer is right or an error."""
    try:
        store = LogStore(path, read_only=True)
    except StoreError:
        return
    with store:
        answers: list[tuple[Callable[[], object], object]] = [
            (lambda: list(store.query()), before),
            (lambda: list(store.query(backwards=True)), before[::-1]),
            (lambda: list(store.load("all")), [event for event in before if event.stream == "all"]),
            (lambda: [info.stream for info in store.streams()], list(dict.fromkeys(event.stream for event in before))),
            (lambda: (found := store.latest_snapshot("all")) and found.data, b"hundred"),
        ]
        for ask, right in answers:
            with contextlib.suppress(StoreCorruptError):
                assert ask() == right


def test_a_log_file_that_is_missing_is_told(filled: Path) -> None:
    segment(filled, 1).unlink()
    report = verify_path(filled)
    assert report.problems[0].file == "log/00000001.seg"
    assert "missing" in report.problems[0].message
    (filled / "control").unlink()
    with pytest.raises(StoreCorruptError) as caught:
        LogStore(filled)
    assert caught.value.file == "log/00000001.seg"


def test_a_log_file_of_another_store_is_told(filled: Path, tmp_path: Path) -> None:
    with LogStore(tmp_path / "other.act", segment_bytes=SEGMENT_BYTES) as other:
        for _ in range(200):
            other.append("s-0", [("Padded", TEXT)])
    shutil.copy(segment(tmp_path / "other.act", 1), segment(filled, 1))
    report = verify_path(filled)
    assert report.problems[0].file == "log/00000001.seg"


def test_log_files_that_changed_places_are_told(filled: Path) -> None:
    aside = filled / "aside"
    segment(filled, 1).rename(aside)
    segment(filled, 2).rename(segment(filled, 1))
    aside.rename(segment(filled, 2))
    assert verify_path(filled).problems[0].file == "log/00000001.seg"


def test_an_event_copied_over_another_is_told(filled: Path) -> None:
    file = segment(filled, 1)
    data = file.read_bytes()
    first = offset_of(file, TEXT)
    second = data.find(TEXT, first + 1)
    length = second - first
    with file.open("r+b") as opened:
        opened.seek(second - 64)
        opened.write(data[first - 64 : first - 64 + length])
    report = verify_path(filled)
    assert not report.healthy


@pytest.mark.parametrize("length", [0, 10, 63, 64, 100, 4096, 20_000])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_shortened_log_file_is_told_and_no_end_of_the_process(filled: Path, number: int, length: int) -> None:
    before = everything(filled)
    with segment(filled, number).open("r+b") as file:
        file.truncate(length)

    def look(tell: Tell) -> None:
        assert_never_wrong(filled, before)
        tell(verify_report(filled))

    ((said,),) = run(look)
    assert said == f"log/0000000{number}.seg"


def verify_report(path: Path) -> str:
    """The file of the first problem."""
    try:
        report = verify_path(path)
    except StoreCorruptError as error:
        return error.file
    return report.problems[0].file if report.problems else "healthy"


def index_files(path: Path) -> list[Path]:
    return sorted(file for file in (path / "index").rglob("*") if file.is_file())


@pytest.mark.parametrize("damage", ["zeroed", "flipped", "shortened", "removed", "foreign"])
def test_a_damaged_index_is_told_or_made_anew_and_never_believed(
    filled: Path, damage: str, dice: random.Random
) -> None:
    before = everything(filled)
    saved = filled.parent / "saved"
    shutil.copytree(filled, saved)
    for name in [str(file.relative_to(filled)) for file in index_files(filled)]:
        shutil.rmtree(filled)
        shutil.copytree(saved, filled)
        spoil(filled / name, damage, dice)

        def look(tell: Tell) -> None:
            assert_never_wrong(filled, before)
            with LogStore(filled) as store:
                store.rebuild_index()
                assert store.verify().healthy
                assert list(store.query()) == before
                assert versions(store.load("all")) == list(range(1, 101))
                appended = store.append("all", pairs(1), expected_version=100)
                assert appended.first_position == 401

        run(look)


def spoil(file: Path, damage: str, dice: random.Random) -> None:
    data = bytearray(file.read_bytes())
    if damage == "zeroed":
        data[:] = bytes(len(data))
    elif damage == "flipped":
        for _ in range(20):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif damage == "shortened":
        del data[len(data) // 2 :]
    elif damage == "foreign":
        data[:] = dice.randbytes(len(data))
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(data)


@pytest.mark.parametrize("damage", ["zeroed", "flipped", "shortened", "removed", "foreign"])
def test_a_damaged_control_file_is_made_anew(filled: Path, damage: str, dice: random.Random) -> None:
    before = everything(filled)
    spoil(filled / "control", damage, dice)

    def look(tell: Tell) -> None:
        with LogStore(filled) as store:
            assert list(store.query()) == before
            assert store.append("all", pairs(1), expected_version=100).first_position == 401
            assert store.verify().healthy

    run(look)


def test_what_is_no_store_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(StoreFormatError):
        verify_path(tmp_path)
    with pytest.raises(StoreError):
        verify_path(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        verify_path(tmp_path / "file")


def test_verifying_changes_nothing(filled: Path) -> None:
    flip(segment(filled, 1), offset_of(segment(filled, 1), TEXT) + 500)
    before = {file: file.read_bytes() for file in filled.rglob("*") if file.is_file()}
    report: VerifyReport = verify_path(filled)
    assert not report.healthy
    assert {file: file.read_bytes() for file in filled.rglob("*") if file.is_file()} == before
