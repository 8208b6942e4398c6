"""What earlier versions have kept of reactions: nothing is lost, nothing is delivered again.

The first store is from when a reaction had one cursor for all event names, the second from when it has one for each.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, Event, LogStore
from tests.support.heard import Heard

FIXTURE = Path(__file__).parent.parent / "fixtures" / "format-1" / "reactions"
SECOND = FIXTURE.with_name("reactions-2")
PAID = [2, 4, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 19, 20, 21]
OPENED = [1, 3, 5]
CLOSED = [8, 13, 18]


class Opened(Event):
    owner: str


class Paid(Event):
    amount: int


class Closed(Event):
    reason: str


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    shutil.copytree(FIXTURE, tmp_path / "store")
    with LogStore(tmp_path / "store", create=False) as store:
        assert [[each.position for each in store.query(names=[name])] for name in ("Opened", "Paid", "Closed")] == [
            OPENED,
            PAID,
            CLOSED,
        ]
        yield store


def parity(event: Any) -> str:
    return f"p{event.data.amount % 2}"


class Program:
    """The program that ran on the store, with what its reactions hear now."""

    def __init__(self, store: LogStore, *more: type[Event], source: str | None = None) -> None:
        self.app = Act(store)
        self.mailer, self.own, self.parity, self.now = Heard(), Heard(), Heard(), Heard()
        self.app.on(Opened, Paid, *more, to="q", name="mailer", source=source)(self.mailer)
        self.app.on(Paid, name="own")(self.own)
        self.app.on(Paid, to=parity, name="parity")(self.parity)
        self.app.on(Opened, to="late", name="now", start="now")(self.now)

    @property
    def heard(self) -> list[list[int]]:
        return [each.positions for each in (self.mailer, self.own, self.parity, self.now)]


def test_a_program_that_has_not_changed_goes_on_where_it_was(store: LogStore) -> None:
    program = Program(store)
    assert {target.name for target in program.app.blocked()} == {"p1"}
    program.app.settle()
    assert program.heard[:2] == [[19, 20, 21], [19, 20, 21]]
    assert program.heard[2] == [19, 21], "one target is blocked"
    assert program.heard[3] in ([], OPENED)
    program.app.unblock()
    program.app.settle()
    assert program.heard[2][2:] == [12, 15, 17, 20]
    assert [(target.name, target.lag) for target in program.app.targets() if target.lag] == []
    again = Program(store)
    again.app.settle()
    assert again.heard == [[], [], [], []]


def test_a_class_that_the_reaction_did_not_take_then_begins_at_the_beginning(store: LogStore) -> None:
    program = Program(store, Closed)
    program.app.settle()
    assert program.mailer.positions == sorted([*CLOSED, 19, 20, 21])


def test_a_source_that_was_changed_at_the_same_time_gets_what_is_left_of_its_own(store: LogStore) -> None:
    program = Program(store, source="^a[01]$")
    program.app.settle()
    assert program.mailer.positions == [19, 20]


def test_a_reset_repeats_everything_once(store: LogStore) -> None:
    program = Program(store, Closed)
    program.app.settle()
    program.mailer.events.clear()
    program.app.reset("q")
    program.app.settle()
    assert program.mailer.positions == list(range(1, 22))


def test_a_backup_of_it_goes_on_too(store: LogStore, tmp_path: Path) -> None:
    store.backup(tmp_path / "copy")
    with LogStore(tmp_path / "copy", create=False) as copy:
        program = Program(copy)
        program.app.settle()
        assert program.heard[:3] == [[19, 20, 21], [19, 20, 21], [19, 21]]


def test_a_class_that_is_new_when_a_backup_is_opened_begins_at_the_beginning(store: LogStore, tmp_path: Path) -> None:
    store.backup(tmp_path / "copy")
    with LogStore(tmp_path / "copy", create=False) as copy:
        program = Program(copy, Closed)
        program.app.settle()
        assert program.mailer.positions == sorted([*CLOSED, 19, 20, 21])
        assert program.heard[1:3] == [[19, 20, 21], [19, 21]]


@pytest.mark.parametrize("harm", ["missing", "empty", "zeros"])
def test_where_what_was_handled_is_lost_all_is_delivered_once_more(tmp_path: Path, harm: str) -> None:
    shutil.copytree(FIXTURE, tmp_path / "store")
    work = tmp_path / "store" / "reactions" / "work"
    size = work.stat().st_size
    work.unlink()
    if harm != "missing":
        work.write_bytes(b"" if harm == "empty" else bytes(size))
    with LogStore(tmp_path / "store", create=False) as store:
        program = Program(store, Closed)
        program.app.settle()
        assert program.mailer.positions == list(range(1, 22))
        assert sorted(program.own.positions) == PAID
        again = Program(store, Closed)
        again.app.settle()
        assert again.heard[:2] == [[], []]


def test_a_store_with_a_cursor_for_each_name_goes_on_where_it_was(tmp_path: Path) -> None:
    shutil.copytree(SECOND, tmp_path / "store")
    with LogStore(tmp_path / "store", create=False) as store:
        app, mailer, own = Act(store), Heard(), Heard()
        app.on(Opened, Paid, to="q", name="mailer")(mailer)
        app.on(Paid, to="own-{stream}", name="own", retries=0)(own)
        assert [(each.name, each.failing, each.error) for each in app.blocked()] == [
            ("own-a1", 7, "OSError: no route to host")
        ]
        app.settle()
        assert (mailer.positions, own.positions) == ([8, 9], [8])
        app.unblock()
        app.settle()
        assert own.positions == [8, 7, 9]
        assert [(each.target, each.position, each.reason, each.by) for each in app.skipped()] == [
            ("own-a2", 6, "the partner is gone", "support")
        ]
        app.reset("own-a2")
        app.settle()
        assert own.positions == [8, 7, 9, 6]
