"""What is kept survives whatever happens to processes and files, and never counts an event twice or not at all."""

import logging
import random
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from act_fast import Act, DefinitionError, LogStore
from act_fast._sql.continuous import keeper
from tests.sql.continuous.shop import Returned, Sold, Till
from tests.support.processes import needs_proc

PER_STREAM = "select stream, count(*) as n, sum(amount) as total, max(version) as last from sold group by stream"
STEP = 50


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written down each few events, which are read in small strides."""
    monkeypatch.setattr(keeper, "_WRITE_EVENTS", STEP)
    monkeypatch.setattr(keeper, "_STRIDE", 3 * STEP)


@pytest.fixture
def app(store_path: Path) -> Iterator[Act]:
    with opened(store_path) as found:
        yield found


class opened:
    """An app that keeps the view."""

    def __init__(self, path: Path, query: str = PER_STREAM, **options: Any) -> None:
        self._store = LogStore(path, durability="os", **options)
        self.app = Act(self._store, Till)
        self.app.view("per_stream", query)

    def __enter__(self) -> Act:
        return self.app

    def __exit__(self, *_: object) -> None:
        self.app.close()
        self._store.close()


def sell(app: Act, count: int) -> None:
    for number in range(count):
        app.store.append(f"till-{number % 7}", [Sold(number), Returned(1), Sold(-1)])


def assert_right(app: Act, query: str = PER_STREAM, at: int | None = None) -> None:
    kept = app.sql("select * from per_stream", at=at).fetchall()
    assert sorted(kept) == sorted(app.sql(query, at=at).fetchall())


def files(path: Path) -> list[Path]:
    return sorted((path / "analytics" / "views").glob("*.view"))


def forged(path: Path) -> None:
    """Change what a file says that it holds, with a checksum that is right."""
    whole = path.read_bytes()[:-4]
    line, _, groups = whole.partition(b"\n")
    changed = line + b"\n" + groups.replace(b"till-1", b"TILL-1")
    path.write_bytes(changed + zlib.crc32(changed).to_bytes(4, "little"))


def test_a_process_goes_on_from_what_another_has_written(store_path: Path) -> None:
    with opened(store_path) as app:
        sell(app, STEP)
        assert_right(app)
    for file in files(store_path):
        forged(file)
    with opened(store_path) as app:
        sell(app, 1)
        streams = {row["stream"] for row in app.views["per_stream"].rows()}
        assert "TILL-1" in streams  # it was not counted again


def test_a_changed_question_is_counted_from_the_beginning(store_path: Path) -> None:
    with opened(store_path) as app:
        sell(app, STEP)
        assert_right(app)
    for file in files(store_path):
        forged(file)
    for query in (
        PER_STREAM.replace("sum(amount)", "min(amount)"),
        PER_STREAM.replace("from sold", "from sold where amount > 0"),
        PER_STREAM.replace("from sold", "from returned"),
    ):
        with opened(store_path, query) as app:
            assert_right(app, query)


def test_what_only_the_outside_of_a_question_changes_is_not_counted_again(store_path: Path) -> None:
    with opened(store_path) as app:
        sell(app, STEP)
        assert_right(app)
    for file in files(store_path):
        forged(file)
    with opened(store_path, PER_STREAM + " having count(*) > 1 order by total") as app:
        assert "TILL-1" in {row["stream"] for row in app.views["per_stream"].rows()}


def test_only_the_newest_two_files_are_kept(app: Act, store_path: Path) -> None:
    for _ in range(4):
        sell(app, STEP)
        assert_right(app)
    assert len(files(store_path)) == 2


@pytest.mark.parametrize("harm", ["flipped", "short", "empty", "long"])
def test_a_damaged_file_is_counted_again(store_path: Path, harm: str, caplog: pytest.LogCaptureFixture) -> None:
    with opened(store_path) as app:
        sell(app, STEP)
        assert_right(app)
    for file in files(store_path):
        whole = bytearray(file.read_bytes())
        whole[random.randrange(len(whole))] ^= 1
        harmed = {"flipped": bytes(whole), "short": whole[:-9], "empty": b"", "long": file.read_bytes() + b"\0"}
        file.write_bytes(harmed[harm])
    with caplog.at_level(logging.WARNING), opened(store_path) as app:
        assert_right(app)
    assert "is damaged" in caplog.text


def test_groups_that_are_others_than_the_file_says_are_counted_again(store_path: Path) -> None:
    query = "select stream, min(version) as low, min(note) as note, min(ratio) as ratio from sold group by stream"
    with opened(store_path, query) as app:
        sell(app, STEP)
        assert_right(app, query)
    [file] = files(store_path)
    line, _, groups = file.read_bytes()[:-4].partition(b"\n")
    for kind in (*range(7), 255):
        for at in (12, 12 + groups[8], 12 + groups[8] + 9):  # the kinds of the key, a number and a text
            changed = line + b"\n" + groups[:at] + bytes([kind]) + groups[at + 1 :]
            file.write_bytes(changed + zlib.crc32(changed).to_bytes(4, "little"))
            with opened(store_path, query) as app:
                assert len(app.views["per_stream"].rows()) == 7


def test_an_older_file_takes_the_place_of_a_damaged_one(store_path: Path) -> None:
    with opened(store_path) as app:
        for _ in range(2):
            sell(app, STEP)
            assert_right(app)
    older, newest = files(store_path)
    newest.write_bytes(newest.read_bytes()[:-1])
    forged(older)
    with opened(store_path) as app:
        assert "TILL-1" in {row["stream"] for row in app.views["per_stream"].rows()}


def test_a_view_is_as_of_every_position(app: Act) -> None:
    sell(app, 20)
    for at in (0, 1, 2, 30, 59, 60, 7):
        assert_right(app, at=at)
    sell(app, 1)
    for at in (61, 60, 63):
        assert_right(app, at=at)
    assert app.views["per_stream"].position == 63


def test_a_moment_before_the_newest_file_is_counted_from_the_older_one(app: Act, store_path: Path) -> None:
    for _ in range(2):
        sell(app, STEP)
        assert_right(app)
    older = files(store_path)[0]
    forged(older)
    at = int(older.stem.rpartition("-")[2])
    assert "TILL-1" in {row["stream"] for row in app.views["per_stream"].rows(at=at + 1)}
    assert_right(app, at=at - 1)
    assert_right(app)


def test_what_is_kept_is_moved_on_without_being_read(app: Act) -> None:
    sell(app, 2)
    assert app.views["per_stream"].position == 0
    assert app.views["per_stream"].keep() == 6
    assert app.views["per_stream"].position == 6


def test_redacting_makes_it_right_again(app: Act) -> None:
    sell(app, STEP)
    assert_right(app)
    app.redact([1], drop=True, reason="r")
    assert_right(app)
    app.redact([4], fields={"amount": 1000}, reason="r")
    assert_right(app)
    assert max(row["total"] for row in app.views["per_stream"].rows()) > 900


def test_pruning_makes_it_right_again(app: Act) -> None:
    sell(app, STEP)
    before = app.views["per_stream"].rows()
    app.close_stream(Till, "till-1")
    assert app.prune().events > 0
    assert_right(app)
    assert app.views["per_stream"].rows() != before


def test_a_restored_log_is_counted_from_the_beginning(app: Act, tmp_path: Path) -> None:
    sell(app, 5)
    app.export(tmp_path / "copy.jsonl")
    sell(app, STEP)
    assert_right(app)
    app.restore(tmp_path / "copy.jsonl", replace=True)
    assert_right(app)
    sell(app, STEP)
    assert_right(app)


def test_compressed_and_archived_events_are_read_through(store_path: Path, tmp_path: Path) -> None:
    with opened(store_path, segment_bytes=64 << 10) as app:
        sell(app, 2000)
        assert app.store.stats().segments > 2
        app.store.compress()  # type: ignore[attr-defined]
        assert_right(app)
        app.archive(tmp_path / "cold", keep=100)
    for file in files(store_path):
        file.unlink()
    with opened(store_path) as app:
        assert app.store.stats().archived > 0
        assert_right(app)


def test_threads_that_read_while_others_append_see_one_moment_each(app: Act) -> None:
    over = threading.Event()
    failed: list[BaseException] = []

    def read() -> None:
        try:
            while not over.is_set():
                [(n, head)] = app.sql(
                    "select (select coalesce(sum(n), 0) from per_stream), (select count(*) from sold)"
                ).fetchall()
                assert n == head
        except BaseException as error:
            failed.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in readers:
        each.start()
    sell(app, 400)
    over.set()
    for each in readers:
        each.join()
    assert failed == []
    assert_right(app)


def test_whoever_is_interrupted_counts_nothing_twice(app: Act) -> None:
    """Whatever line Ctrl-C comes at while events are taken in."""

    def interrupted_after(lines: int) -> bool:
        left = lines

        def traced(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code.co_name == "move_on":
                left -= event == "line"
                if left < 0:
                    raise KeyboardInterrupt
            return traced

        before = sys.gettrace()
        sys.settrace(traced)
        try:
            app.views["per_stream"].keep()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    lines = 0
    while interrupted_after(lines):
        assert_right(app)
        sell(app, 1)
        lines += 1
    assert lines > 5
    assert_right(app)


def test_threads_that_define_views_at_once_have_them_all(app: Act) -> None:
    failed: list[BaseException] = []

    def define(number: int) -> None:
        try:
            for each in range(10):
                query = f"select count(*) as n from sold where amount > {number}"
                assert app.view(f"v{number}_{each}", query).rows() == [{"n": 0}]
                with pytest.raises(DefinitionError):
                    app.view(f"wrong{number}", "select median(amount) from sold")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=define, args=(number,)) for number in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(before)
    assert failed == []
    assert len(app.views) == 41


READER = """
import sys
from pathlib import Path
from tests.sql.continuous.test_keeping import assert_right, keeper, opened, sell
keeper._WRITE_EVENTS, keeper._STRIDE = 20, 60
with opened(Path(sys.argv[1])) as app:
    sell(app, 10)
    assert_right(app, at=app.store.head)
    print("ready", flush=True)
    for number in range(int(sys.argv[2])):
        sell(app, 5)
        assert_right(app, at=app.store.head)
print("done", flush=True)
"""


def reader(path: Path, rounds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", READER, str(path), str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@needs_proc
def test_processes_that_read_and_append_at_once_agree(app: Act, store_path: Path) -> None:
    others = [reader(store_path, 15) for _ in range(3)]
    said = [each.communicate(timeout=120)[0] for each in others]
    assert said == ["ready\ndone\n"] * 3
    assert_right(app)
    assert sum(row["n"] for row in app.views["per_stream"].rows()) == 3 * (15 * 10 + 20)


@needs_proc
def test_a_process_that_is_killed_while_it_keeps_leaves_nothing_wrong(store_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(6):
        with reader(store_path, 1000) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(chance.random() * 0.6)
            process.send_signal(signal.SIGKILL)
        with opened(store_path) as app:
            assert_right(app)
    assert files(store_path)


def test_nothing_is_written_where_no_files_are_wanted(store_path: Path) -> None:
    with opened(store_path, analytics=0) as app:
        sell(app, STEP)
        assert_right(app)
    assert files(store_path) == []


def test_what_would_take_more_room_than_it_may_is_not_written(store_path: Path) -> None:
    with opened(store_path, analytics=100) as app:
        sell(app, STEP)
        assert_right(app)
    assert files(store_path) == []
