"""Backups: copies of a store at one cut, made while everybody goes on."""

import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import (
    Act,
    LogStore,
    NonRetryableError,
    StoreClosedError,
    StoreCorruptError,
    StoreLockedError,
    ValidationError,
    verify_path,
)
from tests.stores.exchange.bank import Account, Deposited, audited, fill
from tests.support.processes import Tell, started

Open = Callable[..., LogStore]


def numbered(store: LogStore, count: int, stream: str = "s") -> None:
    for number in range(count):
        store.append(f"{stream}-{number % 7}", [("Counted", b'{"n":%d,"pad":"%s"}' % (number, b"x" * 200))])


def test_a_backup_holds_all_that_the_store_held(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    numbered(store, 1000)
    store.save_snapshot("s-1", 5, b"state")
    made = store.backup(tmp_path / "copy.act")
    store.append("s-1", [("Counted", b"0")])
    assert (made.path, made.position, made.streams) == (str(tmp_path / "copy.act"), 1000, 7)
    assert verify_path(made.path).healthy
    with LogStore(made.path, create=False) as copy:
        assert list(copy.query()) == list(store.query(before=1001))
        found = copy.latest_snapshot("s-1")
        assert found is not None
        assert (found.version, found.data) == (5, b"state")
        assert copy.stats().segments > 1
        assert copy.verify().healthy
        assert copy.append("s-1", [("Counted", b"1")]).first_position == 1001


def test_a_backup_of_an_empty_store_is_an_empty_store(tmp_path: Path, store: LogStore) -> None:
    assert store.backup(tmp_path / "copy.act").position == 0
    with LogStore(tmp_path / "copy.act", create=False) as copy:
        assert copy.head == 0
        copy.append("s", [("Counted", b"1")])
        assert copy.verify().healthy


def test_the_last_event_of_a_backup_is_read_however_short_it_is(tmp_path: Path, store: LogStore) -> None:
    for number in range(12):
        store.append("s", [("C", b"1")])
        store.backup(tmp_path / f"copy-{number}.act")
        with LogStore(tmp_path / f"copy-{number}.act", durability="os", create=False) as copy:
            assert list(copy.query()) == list(copy.load("s")) == list(store.query())


def test_a_store_in_memory_is_backed_up_to_disk(tmp_path: Path) -> None:
    with LogStore.memory() as store:
        numbered(store, 100)
        store.backup(tmp_path / "copy.act")
        with LogStore(tmp_path / "copy.act", create=False) as copy:
            assert list(copy.query()) == list(store.query())


def test_a_reading_handle_makes_backups_too(tmp_path: Path, open_store: Open) -> None:
    numbered(open_store(), 100)
    reader = open_store(read_only=True)
    assert reader.backup(tmp_path / "copy.act").position == 100
    assert verify_path(tmp_path / "copy.act").events == 100


def test_only_what_cannot_be_made_anew_is_copied(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    numbered(store, 10)
    store.backup(tmp_path / "copy.act")
    assert sorted(each.name for each in (tmp_path / "copy.act").iterdir()) == ["locks", "log"]
    assert [each.name for each in (tmp_path / "copy.act" / "log").iterdir()] == ["00000000.seg"]
    assert [each.name for each in tmp_path.iterdir() if "making" in each.name] == []


@pytest.mark.parametrize("kind", ["store", "folder", "file", "link"])
def test_nothing_is_ever_replaced(tmp_path: Path, open_store: Open, kind: str) -> None:
    store, there = open_store(), tmp_path / "there"
    if kind == "store":
        LogStore(there).close()
    elif kind == "folder":
        there.mkdir()
    elif kind == "file":
        there.write_text("mine")
    else:
        there.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValidationError, match="is never replaced"):
        store.backup(there)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_within_the_store_itself_is_refused(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    (tmp_path / "link").symlink_to(tmp_path / "store.act")
    before = sorted(tmp_path.rglob("*"))
    for path in ("store.act", "store.act/copy", "store.act/log/copy", "link/copy"):
        with pytest.raises(ValidationError, match="within the store itself"):
            store.backup(tmp_path / path)
    assert sorted(tmp_path.rglob("*")) == before
    assert store.backup(tmp_path / "store.act.copy").position == 0


def test_backups_made_while_others_write_are_whole_and_begin_alike(
    tmp_path: Path, open_store: Open, dice: random.Random
) -> None:
    store = open_store(durability="os")
    stop = tmp_path / "stop"

    def write(tell: Tell) -> None:
        with LogStore(tmp_path / "store.act", durability="os") as other:
            number = 0
            while not stop.exists():
                number += 1
                events = [("Counted", b'{"n":%d}' % number)] * (1 + number % 5)
                other.append(f"s-{number % 11}", events)
                if number % 10 == 0:
                    other.save_snapshot(f"s-{number % 11}", 1, b"state")
                if number == 10:
                    tell("writing")

    with started(write, write) as writers:
        for writer in writers:
            assert writer.next_line() == "writing"
        made = [store.backup(tmp_path / f"copy-{number}.act") for number in range(5)]
        stop.touch()
        assert [writer.wait() for writer in writers] == [0, 0]
    assert 0 < made[0].position <= made[-1].position < store.head + 1
    for each in made:
        with LogStore(each.path, create=False) as copy:
            assert copy.head == each.position
            assert copy.verify().healthy
            assert list(copy.query()) == list(store.query(before=each.position + 1))


def test_what_was_handled_before_a_backup_is_not_handled_again_in_it(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        heard = audited(app)
        fill(app, accounts=3, deposits=4)
        app.settle()
        app.do(Account.deposit, "account-1", amount=7)
        app.backup(tmp_path / "copy.act")
        assert len(heard) == 12
    with Act(tmp_path / "copy.act", Account) as copy:
        heard = audited(copy)
        copy.settle()
        assert heard == [("account-1", 6)]
        assert {target.watermark for target in copy.targets()} == {copy.store.head}


def test_blocked_targets_are_blocked_in_the_backup(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:

        @app.on(Deposited, to="broken")
        def fail(event: object) -> None:
            raise NonRetryableError("no money today")

        fill(app, accounts=1, deposits=1)
        app.settle()
        app.backup(tmp_path / "copy.act")
    with Act(tmp_path / "copy.act", Account) as copy:

        @copy.on(Deposited, to="broken", name=fail.__name__)
        def again(event: object) -> None:
            raise AssertionError("it is blocked")

        (target,) = copy.targets()
        assert target.blocked
        assert target.error is not None
        assert "no money today" in target.error


def test_backups_while_reactions_run_never_skip_an_event(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        heard = audited(app)
        fill(app, accounts=20, deposits=2)
        worker = threading.Thread(target=app.run)
        worker.start()
        made = []
        for number in range(8):
            for account in range(20):
                app.do(Account.deposit, f"account-{account}", amount=number)
            made.append((app.backup(tmp_path / f"copy-{number}.act"), len(heard)))
        app.stop()
        worker.join()
        for each, sure in made:
            with Act(each.path, Account) as copy:
                again = audited(copy)
                copy.settle()
                wanted = [event for event in copy.query(events=[Deposited])]
                missing = len(wanted) - len(again)
                assert 0 <= missing <= sure + 200, "skipped what nobody had heard"
                for stream in {event.stream for event in wanted}:
                    versions = [version for name, version in again if name == stream]
                    last = copy.store.version(stream)
                    assert versions == list(range(last + 1 - len(versions), last + 1))


def test_progress_is_told_and_its_error_ends_the_work(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    numbered(store, 500)
    told: list[tuple[int, int]] = []
    store.backup(tmp_path / "copy.act", progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0

    def stop(done: int, total: int) -> None:
        if done * 2 >= total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.backup(tmp_path / "another.act", progress=stop)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.act", "store.act"]


def test_two_backups_to_one_path_do_not_disturb_each_other(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    numbered(store, 50)
    refused: list[Exception] = []

    def meanwhile(done: int, total: int) -> None:
        if not refused:
            with pytest.raises(StoreLockedError, match="made by another process") as error:
                store.backup(tmp_path / "copy.act")
            refused.append(error.value)

    assert store.backup(tmp_path / "copy.act", progress=meanwhile).position == 50
    assert refused
    assert verify_path(tmp_path / "copy.act").healthy


def test_what_a_dead_backup_left_is_removed_by_the_next(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    numbered(store, 50)
    left = tmp_path / "copy.act.making"
    store.backup(tmp_path / "other.act")
    shutil.move(tmp_path / "other.act", left)
    (left / "log" / "00000007.seg").write_bytes(b"half a file")
    assert store.backup(tmp_path / "copy.act").position == 50
    assert not left.exists()
    assert verify_path(tmp_path / "copy.act").healthy


def test_a_damaged_store_gives_no_backup(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    numbered(store, 100)
    store.close()
    segment = tmp_path / "store.act" / "log" / "00000000.seg"
    with segment.open("r+b") as file:
        file.seek(3000)
        file.write(b"\xff\xff")
    # The index is trusted, so the store opens; the damage is found by reading.
    with open_store() as damaged, pytest.raises(StoreCorruptError, match="the copy is damaged") as error:
        damaged.backup(tmp_path / "copy.act")
    assert error.value.file == "log/00000000.seg"
    assert not (tmp_path / "copy.act").exists()
    assert not (tmp_path / "copy.act.making").exists()


def test_a_closed_store_gives_no_backup(tmp_path: Path, store: LogStore) -> None:
    store.close()
    with pytest.raises(StoreClosedError):
        store.backup(tmp_path / "copy.act")


def test_a_backup_killed_at_any_moment_leaves_the_store_and_a_whole_copy_or_none(
    tmp_path: Path, dice: random.Random
) -> None:
    path = tmp_path / "store.act"
    with LogStore(path, segment_bytes=64 * 1024, durability="os") as store:
        numbered(store, 3000)
        with_reactions = Act(store, Account)
        audited(with_reactions)
        fill(with_reactions, accounts=2, deposits=3)
        with_reactions.settle()
        head = store.head
        with_reactions.close()

    def back_up(tell: Tell) -> None:
        with LogStore(path, durability="os") as store:
            tell("begin")
            number = 0
            while True:
                store.backup(tmp_path / f"copy-{number}.act")
                number += 1

    for _ in range(15):
        with started(back_up) as (process,):
            process.next_line()
            time.sleep(dice.uniform(0, 0.05))
            process.kill()
            process.wait()
        for copy in sorted(tmp_path.glob("copy-*.act")):
            report = verify_path(copy)
            assert report.healthy
            assert report.events == head
            LogStore(copy).close()
            shutil.rmtree(copy)
    with LogStore(path, durability="os") as store:
        assert store.head == head
        assert store.verify().healthy
        for left in list(tmp_path.glob("*.making")):
            assert store.backup(left.with_suffix("")).position == head
            assert not left.exists()
