"""What has settled is written down in the background: questions do not wait for it, and nothing is left half done."""

import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from act_fast import Act, LogStore
from act_fast._sql.log_scan import LogScan
from act_fast._sql.parts import background, builder
from act_fast._sql.parts.background import builds
from act_fast._sql.parts.manifest import FOLDER
from act_fast.errors import ValidationError
from tests.support.bank import Account

STEP = 200
KILLS = int(os.environ.get("ACT_FAST_KILLS", "3"))
QUESTION = "select count(*), sum(amount)::bigint from deposited"
SECRET = "hunter2-should-not-be-here"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", STEP)


@pytest.fixture
def app(store_path: Path) -> Iterator[Act]:
    with LogStore(store_path, durability="os") as store:
        for number in range(STEP):
            store.append(f"account-{number % 7}", [("Deposited", b'{"amount":%d}' % number)])
        store.append("account-1", [("Opened", b'{"owner":"%s"}' % SECRET.encode())])
        with Act(store, Account) as opened:
            yield opened


RIGHT = (STEP, sum(range(STEP)))


def files(path: Path, kind: str = "*.duckdb") -> list[Path]:
    return sorted((path / FOLDER).glob(f"*/{kind}"))


class Gate:
    """Where a builder waits until it may go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            self.reached.set()
            assert self.opened.wait(60)
            return function(*arguments)

        return called


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A builder that has written a file, and not said so yet."""
    found = Gate()
    monkeypatch.setattr(background, "_DELAY_S", 0.0)
    monkeypatch.setattr(builder, "flush", found.before(builder.flush))
    yield found
    found.opened.set()


def test_a_question_is_answered_from_the_log_while_files_are_being_made(app: Act, store_path: Path, gate: Gate) -> None:
    assert app.sql(QUESTION).fetchall() == [RIGHT]
    assert gate.reached.wait(60)
    assert app.sql(QUESTION).fetchall() == [RIGHT]
    assert files(store_path, "manifest-*") == []
    gate.opened.set()
    assert builds.wait()
    assert app.sql(QUESTION).fetchall() == [RIGHT]
    assert len(files(store_path)) == 1


def test_where_nothing_was_appended_since_the_log_is_not_scanned(app: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    app.sql(QUESTION).fetchall()
    assert builds.wait()
    monkeypatch.setattr(LogScan, "read", None)
    assert app.sql(QUESTION).fetchall() == [RIGHT]
    app.store.append("account-1", [("Withdrawn", b'{"amount":1}')])  # of another class
    assert app.sql(QUESTION).fetchall() == [RIGHT]
    app.store.append("account-1", [("Deposited", b'{"amount":1}')])
    with pytest.raises(duckdb.Error):
        app.sql(QUESTION).fetchall()


def test_an_answer_from_files_ends_with_its_store(app: Act) -> None:
    app.sql(QUESTION).fetchall()
    assert builds.wait()
    answer = app.sql(QUESTION)
    assert answer.fetchall() == [RIGHT]
    app.store.close()
    with pytest.raises(duckdb.Error, match="StoreClosedError: this store was closed"):
        answer.fetchall()


def test_a_redaction_waits_for_what_is_being_written_and_takes_it_away(app: Act, store_path: Path, gate: Gate) -> None:
    assert app.sql("select owner from opened").fetchall() == [(SECRET,)]
    app.sql("select count(*) from events").fetchall()
    assert gate.reached.wait(60)
    redacting = threading.Thread(target=lambda: app.redact([STEP + 1], drop=True, reason="r"))
    redacting.start()
    redacting.join(2)
    assert redacting.is_alive()
    gate.opened.set()
    redacting.join(60)
    assert not redacting.is_alive()
    assert builds.wait()
    assert [each for each in store_path.rglob("*") if each.is_file() and SECRET.encode() in each.read_bytes()] == []
    assert files(store_path) == []
    assert app.sql("select count(*) from events where data::varchar like '%hunter2%'").fetchall() == [(0,)]


def test_closing_a_store_ends_what_is_being_written(app: Act, store_path: Path, gate: Gate) -> None:
    app.sql(QUESTION).fetchall()
    assert gate.reached.wait(60)
    threading.Timer(0.2, gate.opened.set).start()
    app.store.close()
    assert gate.opened.is_set()
    assert files(store_path, "manifest-*") == files(store_path, "new-*") == []


def test_what_has_failed_is_not_tried_again_at_once(
    app: Act, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(builder, "flush", full)
        for _ in range(3):
            assert app.sql(QUESTION).fetchall() == [RIGHT]
            assert builds.wait()
    assert ["No space left" in record.getMessage() for record in caplog.records] == [True]


def settled(app: Act) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = app.sql(QUESTION).fetchall()
    assert builds.wait()
    return found


def test_files_take_no_more_room_than_they_may(
    app: Act, store_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settled(app) == [RIGHT]
    size = sum(path.stat().st_size for path in files(store_path))
    app.store.append("account-1", [("Deposited", b'{"amount":0}')] * STEP)
    right = [(2 * STEP, RIGHT[1])]
    with LogStore(store_path, durability="os", analytics=size // 2) as bounded, Act(bounded, Account) as other:
        for _ in range(2):
            assert settled(other) == right
        assert ["analytics=" in record.getMessage() for record in caplog.records] == [True]
        assert sum(path.stat().st_size for path in files(store_path)) == size
        other.sql("select count(*) from events").fetchall()
        assert builds.wait()
        assert [path.parent.name.partition("-")[0] for path in files(store_path)] == ["deposited"]
    builds._failed.clear()
    with LogStore(store_path, durability="os", analytics=10 * size) as enough, Act(enough, Account) as other:
        assert settled(other) == right
        monkeypatch.setattr(LogScan, "read", None)
        assert settled(other) == right
        assert sum(path.stat().st_size for path in files(store_path)) <= enough.stats().analytics_bytes <= 11 * size


def test_where_no_room_is_given_files_are_neither_made_nor_used(app: Act, store_path: Path) -> None:
    with LogStore(store_path, durability="os", analytics=0) as store, Act(store, Account) as other:
        assert settled(other) == [RIGHT]
        assert store.stats().analytics_bytes == 0
        assert files(store_path) == []
        assert settled(app) == [RIGHT]
        assert store.stats().analytics_bytes > 0
        assert "settled" in app.sql(QUESTION).explain()
        assert "settled" not in other.sql(QUESTION).explain()
        assert settled(other) == [RIGHT]
    with pytest.raises(ValidationError, match="analytics"):
        LogStore(store_path, analytics=-1)


def _closing(store: LogStore) -> None:
    store.close()


def test_a_forked_child_does_not_wait_for_its_parents_builder(app: Act, gate: Gate) -> None:
    app.sql(QUESTION).fetchall()
    assert gate.reached.wait(60)
    assert isinstance(app.store, LogStore)
    child = multiprocessing.get_context("fork").Process(target=_closing, args=(app.store,))
    child.start()
    child.join(60)
    assert child.exitcode == 0


CHILD = """
import itertools, shutil, sys
from act_fast import Act, LogStore
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from tests.support.bank import Account
background.PART_EVENTS = 50
background._DELAY_S = 0.0
with LogStore(sys.argv[1], durability="os") as store, Act(store, Account) as app:
    for turn in itertools.count():
        [found] = app.sql("select count(*), sum(amount)::bigint from deposited").fetchall()
        print("asked", flush=True)
        if sys.argv[2] == "once":
            sys.exit()
        builds.wait()
        store.append("account-1", [("Deposited", b'{"amount":0}')] * 100)
"""


def child(path: Path, how: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CHILD, str(path), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_process_that_is_killed_while_it_writes_leaves_nothing_that_is_believed(app: Act, store_path: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for _ in range(KILLS):
        process = child(store_path, "often")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() / 2)
        process.kill()
        process.communicate()
        [(count, total)] = app.sql(QUESTION).fetchall()
        assert (count, total) == (
            app.sql("select count(*) from events where name = 'Deposited'").fetchall()[0][0],
            RIGHT[1],
        ), seed
    app.store.append("account-1", [("Deposited", b'{"amount":0}')] * STEP)
    app.sql(QUESTION).fetchall()
    assert builds.wait()
    assert files(store_path, "new-*") == []
    assert app.sql("select sum(amount)::bigint from deposited").fetchall() == [RIGHT[1:]]


def test_a_process_may_end_while_it_writes(app: Act, store_path: Path) -> None:
    process = child(store_path, "once")
    out, said = process.communicate(timeout=120)
    assert (process.returncode, out, said) == (0, "asked\n", "")
    assert files(store_path, "new-*") == []
