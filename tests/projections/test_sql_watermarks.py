"""The watermark of a SQL projection, and all that can be wrong with it: rows are those of the log, or it says so."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from act_fast import (
    Act,
    Committed,
    Event,
    Lane,
    LogStore,
    Projection,
    SqlProjection,
    State,
    StateProjection,
    action,
    batch,
    on,
    reducer,
)
from tests.projections.test_sql_projections import Connect, connect, db, rows, sqlite_at, watermarks
from tests.support.bank import Account, Deposited, Opened, Withdrawn
from tests.support.heard import PATIENCE_SECONDS, deposit
from tests.support.processes import Tell, limit_descriptors, run, take_descriptors
from tests.support.totals import Totals

__all__ = ["connect", "db"]


class Flaky(Totals, name="totals", backoff=0):
    """Raises at events, by position, as often as was planned."""

    def __init__(self, connection: Any, *positions: int) -> None:
        super().__init__(connection)
        self.fails_at = list(positions)
        self.seen: list[int] = []

    @on(Deposited)
    def deposited(self, event: Committed[Deposited], db: Any) -> None:
        self.seen.append(event.position)
        self._add(event.stream, event.data.amount, db)
        if event.position in self.fails_at:
            self.fails_at.remove(event.position)
            raise ValueError(f"not at {event.position}")


class Listed(SqlProjection, name="listed", backoff=0):
    """A row for each event, handled by the list, of which one amount cannot be."""

    tables = ("listed",)
    poison = 13

    def setup(self, db: Any) -> None:
        db.execute(f"create table if not exists {self.table('listed')} (position bigint primary key, amount bigint)")

    @batch(Deposited)
    def deposited(self, events: list[Committed[Deposited]], db: Any) -> None:
        table = self.table("listed")
        for event in events:
            db.execute(f"insert into {table} values (?, ?)", (event.position, event.data.amount))
            if event.data.amount == self.poison:
                raise ValueError("not this one")


def positions(db: Any) -> list[int]:
    return [row[0] for row in db.execute("select position from listed order by position").fetchall()]


def blocked(app: Act) -> str:
    (found,) = app.blocked()
    return str(found.error)


def finish(app: Act, target: str = "totals") -> None:
    """Settle until a target has nothing more to do, or is blocked."""
    app.settle()
    while (found := next(app.targets(target))).lag and not found.blocked:
        app.settle()


# Failures.


@pytest.mark.parametrize("failing", [(3, 2), (4, 3, 2, 1), (2, 2, 4, 1), (4, 4, 4, 3), (1, 1, 1), (3, 1, 3, 2, 4)])
def test_whatever_fails_how_often_each_event_counts_once(db: Any, failing: tuple[int, ...]) -> None:
    totals = Flaky(db, *failing)
    with Act("memory:", Account, totals) as app:
        deposit(app, "a", "b", "c", "d")
        finish(app)
        assert not list(app.blocked())
    assert rows(db) == [(stream, 1, 1) for stream in "abcd"]
    assert watermarks(db) == {"totals": 4}
    assert totals.fails_at == []


def test_what_is_acknowledged_is_what_the_database_says(db: Any) -> None:
    totals = Flaky(db, 3, 2, 2, 2, 2)
    with Act("memory:", Account, totals) as app:
        deposit(app, "a", "b", "c", "d")
        app.settle()
        (found,) = app.blocked()
        assert (found.watermark, found.failing) == (1, 2)
        assert watermarks(db) == {"totals": 1}
        assert rows(db) == [("a", 1, 1)]
        app.unblock()
        app.settle()
    assert rows(db) == [(stream, 1, 1) for stream in "abcd"]


def test_a_failure_while_a_gap_is_filled_is_told_of_that_event_and_nothing_is_lost(
    connect: Connect, tmp_path: Path
) -> None:
    with LogStore(tmp_path / "bank.act", durability="os") as store:
        with closing(connect(tmp_path / "first")) as first, Act(store, Account, Totals(first)) as app:
            deposit(app, "a", "b", "a", "b")
            app.settle()
        with closing(connect(tmp_path / "second")) as second:
            totals = Flaky(second, *[3] * 4)
            with Act(store, Account, totals) as app:
                deposit(app, "a")
                app.settle()
                (found,) = app.blocked()
                assert (found.failing, found.watermark) == (5, 4)
                assert "position 3" in str(found.error)
                assert "not at 3" in str(found.error)
                assert watermarks(second) == {"totals": 2}
                app.unblock()
                finish(app)
            assert rows(second) == [("a", 3, 3), ("b", 2, 2)]


@pytest.mark.parametrize("kind", [Listed, Flaky])
def test_without_retries_the_event_that_fails_is_the_one_that_is_blocked(db: Any, kind: type[SqlProjection]) -> None:
    class Once(kind, name="once", retries=0): ...  # type: ignore[valid-type,misc]

    once = Once(db) if kind is Listed else Once(db, 3)
    with Act("memory:", Account, once) as app:
        for amount in (1, 2, 13, 4):
            deposit(app, "a", amount=amount)
        app.settle()
        (found,) = app.blocked()
        assert (found.failing, found.watermark, found.attempts) == (3, 2, 1)
        assert watermarks(db) == {"once": 2}


def test_a_list_that_only_fails_together_is_handled_one_by_one(db: Any) -> None:
    class Single(Listed, name="single"):
        @batch(Deposited)
        def deposited(self, events: list[Committed[Deposited]], db: Any) -> None:
            if len(events) > 1:
                raise ValueError("one at a time, please")
            super().deposited(events, db)

    with Act("memory:", Account, Single(db)) as app:
        deposit(app, *"abcd")
        app.settle()
        assert not list(app.blocked())
    assert positions(db) == [1, 2, 3, 4]


def test_a_commit_that_fails_is_the_fault_of_one_event(tmp_path: Path) -> None:
    class Checked(SqlProjection, name="checked", retries=0):
        tables = ("parents", "children")

        def setup(self, db: sqlite3.Cursor) -> None:
            db.execute(f"create table if not exists {self.table('parents')} (id integer primary key)")
            db.execute(
                f"create table if not exists {self.table('children')} (position integer primary key, parent integer"
                " references parents (id) deferrable initially deferred)"
            )
            db.execute(f"insert or ignore into {self.table('parents')} values (1)")

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: sqlite3.Cursor) -> None:
            db.execute(f"insert into {self.table('children')} values (?, ?)", (event.position, event.data.amount))

    with closing(sqlite_at(tmp_path / "reports")) as connection:
        connection.execute("pragma foreign_keys = on")
        with Act("memory:", Account, Checked(connection)) as app:
            for amount in (1, 1, 7, 1):
                deposit(app, "a", amount=amount)
            app.settle()
            (found,) = app.blocked()
            assert (found.failing, found.watermark) == (3, 2)
        assert connection.execute("select position from children").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("opened", [True, False])
def test_a_list_in_memory_without_retries_blocks_at_the_event_that_fails(opened: bool) -> None:
    class Kept(Projection, name="kept", retries=0):
        def __init__(self) -> None:
            self.positions: list[int] = []

        @on(Opened)
        def opened(self, event: Committed[Opened]) -> None: ...

        @batch(Deposited)
        def deposited(self, events: list[Committed[Deposited]]) -> None:
            if any(event.data.amount == 13 for event in events):
                raise ValueError("not this one")
            self.positions += [event.position for event in events]

    kept = Kept()
    with Act("memory:", Account, kept) as app:
        if opened:
            app.do(Account.open, "a", owner="Ada")
        for amount in (1, 2, 13, 4):
            deposit(app, "a", amount=amount)
        app.settle()
        (found,) = app.blocked()
        expected = 4 if opened else 3
        assert (found.failing, found.watermark, found.attempts) == (expected, expected - 1, 1)
        assert kept.positions == [expected - 2, expected - 1]


@pytest.mark.parametrize("before", [0, 1])
def test_a_method_that_ends_the_transaction_is_not_tried_again_until_the_rows_are_made_again(
    db: Any, before: int
) -> None:
    class Committing(Totals, name="totals", backoff=0):
        ends = False

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            super().deposited(event, db)
            if self.ends:
                db.execute("commit")

    totals = Committing(db)
    with Act("memory:", Account, totals) as app:
        deposit(app, *"x" * before)
        app.settle()
        totals.ends = True
        deposit(app, "a", "b")
        app.settle()
        assert "ended the transaction" in blocked(app)
        totals.ends = False
        expected = [(stream, 1, 1) for stream in "abc" + "x" * before]
        deposit(app, "c")
        with Act(app.store, Account, Totals(db)) as other:
            other.unblock()
            other.settle()
            assert rows(db) == expected or "rebuild it" in blocked(other)
        app.rebuild("totals")
        finish(app)
    assert rows(db) == expected


# What the database says, and what is there.


@pytest.mark.parametrize("what", ["drop table totals", "delete from totals", "drop table act_fast_watermarks"])
@pytest.mark.parametrize("restarted", [True, False])
def test_tables_that_were_dropped_or_emptied_are_filled_again(db: Any, what: str, restarted: bool) -> None:
    with Act("memory:", Account) as owner:
        totals = Totals(db)
        with Act(owner.store, Account, totals) as app:
            deposit(app, "a", "b", "a")
            app.settle()
        db.execute(what)
        if isinstance(db, sqlite3.Connection):
            db.commit()
        with Act(owner.store, Account, Totals(db) if restarted else totals) as app:
            deposit(app, "b")
            finish(app)
            assert not list(app.blocked())
    assert rows(db) == [("a", 2, 2), ("b", 2, 2)]


def test_a_table_that_was_dropped_while_it_was_empty_is_made_again(db: Any) -> None:
    class Spare(Totals, name="totals"):
        tables = ("totals", "spare")

        def setup(self, db: Any) -> None:
            super().setup(db)
            db.execute(f"create table if not exists {self.table('spare')} (stream text)")

        @on(Withdrawn)
        def withdrawn(self, event: Committed[Withdrawn], db: Any) -> None:
            db.execute(f"insert into {self.table('spare')} values (?)", (event.stream,))

    with Act("memory:", Account, Spare(db)) as app:
        app.do(Account.open, "a", owner="Ada")
        deposit(app, "a")
        app.settle()
        db.execute("drop table spare")
        deposit(app, "a")
        app.do(Account.withdraw, "a", amount=1)
        app.settle()
        assert not list(app.blocked())
    assert (rows(db), rows(db, "spare")) == ([("a", 2, 2)], [("a",)])


def test_a_table_that_its_events_have_emptied_is_no_cause_for_alarm(db: Any) -> None:
    class Open(SqlProjection, name="open"):
        tables = ("open",)
        made = 0

        def setup(self, db: Any) -> None:
            Open.made += 1
            db.execute(f"create table if not exists {self.table('open')} (stream text)")

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            db.execute(f"insert into {self.table('open')} values (?)", (event.stream,))

        @on(Withdrawn)
        def withdrawn(self, event: Committed[Withdrawn], db: Any) -> None:
            db.execute(f"delete from {self.table('open')} where stream = ?", (event.stream,))

    with Act("memory:", Account, Open(db)) as app:
        app.do(Account.open, "a", owner="Ada")
        for _ in range(3):
            deposit(app, "a")
            app.settle()
            app.do(Account.withdraw, "a", amount=1)
            app.settle()
            assert rows(db, "open") == []
    assert Open.made == 1


def test_two_stores_in_one_database_do_not_mix(db: Any) -> None:
    with Act("memory:", Account, Totals(db)) as one, Act("memory:", Account, Totals(db)) as two:
        deposit(one, "a", "a")
        one.settle()
        deposit(two, "x", "y", "z")
        two.settle()
        assert "another store" in blocked(two)
        assert rows(db) == [("a", 2, 2)]
        deposit(one, "a")
        one.settle()
        assert rows(db) == [("a", 3, 3)]
        two.reset("totals")
        two.settle()
        assert "another store" in blocked(two)
        two.rebuild("totals")
        finish(two)
        assert rows(db) == [("x", 1, 1), ("y", 1, 1), ("z", 1, 1)]
        deposit(one, "a")
        one.settle()
        assert "another store" in blocked(one)
    assert rows(db) == [("x", 1, 1), ("y", 1, 1), ("z", 1, 1)]


def test_rows_that_nothing_is_said_of_are_not_added_to(db: Any) -> None:
    class Renamed(Totals, name="sums"): ...

    with Act("memory:", Account, Totals(db)) as app:
        deposit(app, "a")
        app.settle()
        with Act(app.store, Account, Renamed(db)) as other:
            other.settle()
            assert "says of which events" in blocked(other)
            assert rows(db) == [("a", 1, 1)]


@pytest.mark.parametrize("when", ["blocked", "caught up", "from the command line"])
def test_reset_applies_the_code_of_today_to_what_was_there(db: Any, when: str) -> None:
    class Doubled(Totals, name="totals"):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            self._add(event.stream, 2 * event.data.amount, db)

    before = Totals(db)
    before.fails_on = 13 if when == "blocked" else None
    with Act("memory:", Account) as owner:
        with Act(owner.store, Account, before, lanes=[Lane("default", events_max=2)]) as app:
            for amount in (1, 2, 3, 13, 5):
                deposit(app, "a", amount=amount)
            app.settle()
        with Act(owner.store, Account, Doubled(db), lanes=[Lane("default", events_max=2)]) as app:
            if when == "from the command line":
                port = owner.store.reactions()  # type: ignore[attr-defined]
                port.reset(["totals"])
                port.close()
            else:
                app.reset("totals")
            finish(app)
            assert not list(app.blocked())
    assert rows(db) == [("a", 48, 5)]


def test_a_projection_that_was_forgotten_begins_again_with_the_code_of_today(db: Any) -> None:
    class Doubled(Totals, name="totals"):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            self._add(event.stream, 2 * event.data.amount, db)

    with Act("memory:", Account) as owner:
        for totals, expected in [(Totals(db), 3), (Doubled(db), 8)]:
            with Act(owner.store, Account, totals) as app:
                deposit(app, "a", amount=expected // 2)
                deposit(app, "a", amount=expected % 2 + 1)
                app.settle()
            owner.forget_reaction("totals")
    assert rows(db) == [("a", 2 * (1 + 2 + 4 + 1), 4)]


def test_a_database_of_another_store_that_cannot_be_opened_at_first_acknowledges_nothing(tmp_path: Path) -> None:
    reports, tries = tmp_path / "reports", []

    def connect() -> sqlite3.Connection:
        tries.append(1)
        if len(tries) == 1:
            raise sqlite3.OperationalError("unable to open database file")
        return sqlite_at(reports)

    with Act("memory:", Account) as owner:
        with Act(owner.store, Account, Totals(sqlite_at(tmp_path / "own"))) as app:
            deposit(app, "x")
            app.settle()
        with Act("memory:", Account, Totals(sqlite_at(reports))) as other:
            deposit(other, "a", "b", "c")
            other.settle()
        with Act(owner.store, Account, Totals(connect)) as app:
            deposit(app, "y")
            finish(app)
            assert "another store" in blocked(app)
            assert next(app.targets("totals")).watermark == 1


def test_a_projection_that_takes_other_events_than_before_is_made_again(db: Any) -> None:
    class Deposits(SqlProjection, name="totals"):
        tables = ("totals",)
        setup = Totals.setup
        _add = Totals._add

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            self._add(event.stream, event.data.amount, db)  # type: ignore[arg-type]

    with Act("memory:", Account) as owner:
        owner.do(Account.open, "a", owner="Ada")
        with Act(owner.store, Account, Deposits(db)) as old, Act(owner.store, Account, Totals(db)) as new:
            deposit(owner, "a", amount=10)
            owner.do(Account.withdraw, "a", amount=3)
            old.settle()
            assert rows(db) == [("a", 10, 1)]
            deposit(owner, "a", amount=10)
            new.settle()
            assert rows(db) == [("a", 17, 3)]
            # The old release makes them its own once it leaves out a withdrawal, which is not lost to the new one.
            deposit(owner, "a", amount=10)
            old.settle()
            assert rows(db) == [("a", 27, 4)]
            owner.do(Account.withdraw, "a", amount=1)
            deposit(owner, "a", amount=10)
            old.settle()
            assert rows(db) == [("a", 40, 4)]
            deposit(owner, "a", amount=10)
            finish(new)
    assert rows(db) == [("a", 46, 7)]


def test_another_source_or_another_table_has_the_rows_made_again(db: Any) -> None:
    class Some(Totals, name="totals", source="^a"): ...

    class More(Totals, name="totals"):
        tables = ("totals", "streams")

        def setup(self, db: Any) -> None:
            super().setup(db)
            db.execute(f"create table if not exists {self.table('streams')} (stream text primary key)")

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            super().deposited(event, db)
            db.execute(f"insert into {self.table('streams')} values (?) on conflict do nothing", (event.stream,))

    with Act("memory:", Account) as owner:
        deposit(owner, "a", "b", "aa")
        some, all_of_them = ["a", "aa"], ["a", "aa", "b"]
        for made, expected in [
            (Some(db), some),
            (Totals(db), all_of_them),
            (Some(db), some),
            (Totals(db), all_of_them),
        ]:
            with Act(owner.store, Account, made) as app:
                deposit(app, "a")
                finish(app)
                assert [row[0] for row in rows(db)] == expected
        with Act(owner.store, Account, More(db)) as app:
            deposit(app, "a")
            finish(app)
        assert [row[0] for row in rows(db, "streams")] == ["a", "aa", "b"]


def run_by_hand(db: Any, *statements: str) -> None:
    for each in statements:
        db.execute(each)
    if isinstance(db, sqlite3.Connection):
        db.commit()


UNSAID = ["drop table act_fast_projections", "delete from act_fast_projections"]


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("how", UNSAID)
def test_rows_that_nothing_says_the_store_of_are_not_gone_on_from(db: Any, how: str, restarted: bool) -> None:
    with Act("memory:", Account) as owner:
        totals = Totals(db)
        with Act(owner.store, Account, totals) as app:
            deposit(app, "a", "b")
            app.settle()
        run_by_hand(db, how, "update totals set amount = 100 where stream = 'a'")
        with Act(owner.store, Account, Totals(db) if restarted else totals) as app:
            deposit(app, "b")
            app.settle()
            said = blocked(app)
            assert "'totals'" in said
            assert "act_fast_projections" in said
            assert "rebuild" in said
            assert rows(db) == [("a", 100, 1), ("b", 1, 1)]
            app.reset("totals")
            app.settle()
            assert rows(db) == [("a", 100, 1), ("b", 1, 1)]
            app.rebuild("totals")
            finish(app)
            assert not list(app.blocked())
        assert rows(db) == [("a", 1, 1), ("b", 2, 2)]
        assert watermarks(db) == {"totals": 3}


@pytest.mark.parametrize("how", UNSAID)
def test_two_stores_do_not_mix_when_nothing_says_whose_the_rows_are(db: Any, how: str) -> None:
    with Act("memory:", Account, Totals(db)) as one, Act("memory:", Account, Totals(db)) as two:
        deposit(one, "a", "a")
        one.settle()
        run_by_hand(db, how)
        deposit(two, "x", "y", "z")
        two.settle()
        assert "rebuild" in blocked(two)
        assert rows(db) == [("a", 2, 2)]
        deposit(one, "a")
        one.settle()
        assert "rebuild" in blocked(one)
        assert rows(db) == [("a", 2, 2)]
        two.rebuild("totals")
        finish(two)
        one.unblock()
        one.settle()
        assert "another store" in blocked(one)
    assert rows(db) == [("x", 1, 1), ("y", 1, 1), ("z", 1, 1)]


def test_a_watermark_without_rows_or_a_store_is_begun_again(db: Any) -> None:
    with Act("memory:", Account, Totals(db)) as app:
        deposit(app, "a", "b")
        app.settle()
        run_by_hand(db, "drop table act_fast_projections", "delete from totals")
        deposit(app, "a")
        finish(app)
        assert not list(app.blocked())
    assert rows(db) == [("a", 2, 2), ("b", 1, 1)]


def test_what_is_kept_of_projections_by_an_earlier_release_is_gone_on_from(db: Any) -> None:
    if isinstance(db, psycopg.Connection):
        pytest.skip("no earlier release has written to PostgreSQL")
    with Act("memory:", Account, Totals(db)) as app:
        deposit(app, "a", "b")
        app.settle()
        run_by_hand(
            db,
            "alter table act_fast_projections drop column code",
            "update totals set amount = 100 where stream = 'a'",
        )
        with Act(app.store, Account, Totals(db)) as other:
            deposit(other, "b")
            finish(other)
            assert not list(other.blocked())
    assert rows(db) == [("a", 100, 1), ("b", 2, 2)]


def test_a_backup_that_is_put_back_before_a_delivery_with_a_hole_in_it_loses_nothing(
    connect: Connect, tmp_path: Path
) -> None:
    class Deposits(SqlProjection, name="totals"):
        tables = ("totals",)
        setup = Totals.setup
        _add = Totals._add

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            self._add(event.stream, event.data.amount, db)  # type: ignore[arg-type]

    with Act("memory:", Account) as owner:
        owner.do(Account.open, "a", owner="Ada")
        with closing(connect(tmp_path / "backup")) as backup, Act(owner.store, Account, Totals(backup)) as new:
            deposit(new, "a", amount=10)
            new.settle()
            owner.do(Account.withdraw, "a", amount=1)
            deposit(owner, "a", amount=20)
            owner.do(Account.withdraw, "a", amount=2)
            with closing(connect(tmp_path / "live")) as live, Act(owner.store, Account, Deposits(live)) as old:
                old.settle()  # of what is to come, those in the middle are handled
            finish(new)
            assert rows(backup) == [("a", 27, 4)]


def test_a_log_that_was_restored_is_another_one(db: Any, tmp_path: Path) -> None:
    with Act(LogStore(tmp_path / "bank.act", durability="os"), Account, Totals(db)) as app:
        deposit(app, "a", "b")
        app.settle()
        app.export(tmp_path / "bank.jsonl")
        app.restore(tmp_path / "bank.jsonl", replace=True)
        deposit(app, "c")
        app.settle()
        assert "rebuild it" in blocked(app)
        assert rows(db) == [("a", 1, 1), ("b", 1, 1)]
        app.rebuild("totals")
        finish(app)
        assert rows(db) == [("a", 1, 1), ("b", 1, 1), ("c", 1, 1)]
        app.store.close()


class Counted(Event):
    number: int


class Kept(State, name="Kept"):
    total: int = 0

    @reducer
    def counted(self, event: Counted) -> None:
        self.total += event.number

    @action
    def count(self, number: int) -> Counted:
        return Counted(number)


class KeptTwice(State, name="Kept"):
    total: int = 0

    @reducer
    def counted(self, event: Counted) -> None:
        self.total += 2 * event.number

    @action
    def count(self, number: int) -> Counted:
        return Counted(number)


class KeptWide(State, name="Kept"):
    total: int = 0
    events: int = 0

    @reducer
    def counted(self, event: Counted) -> None:
        self.total += event.number
        self.events += 1

    @action
    def count(self, number: int) -> Counted:
        return Counted(number)


@pytest.mark.parametrize(
    ("release", "expected"),
    [(KeptTwice, [("a", 4), ("b", 10)]), (KeptWide, [("a", 2, 2), ("b", 5, 2)]), (Kept, [("a", 2), ("b", 5)])],
)
def test_states_that_were_folded_by_other_code_are_folded_again(
    db: Any, release: Any, expected: list[tuple[Any, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    with Act("memory:") as owner:
        with Act(owner.store, StateProjection(Kept, db, table="kept")) as app:
            for stream, number in (("a", 1), ("b", 2), ("a", 1)):
                app.do(Kept.count, stream, number=number)
            app.settle()
        with Act(owner.store, StateProjection(release, db, table="kept")) as app:
            app.do(release.count, "b", number=3)
            finish(app, "kept")
            assert not list(app.blocked())
        columns = "stream, total" + (", events" if release is KeptWide else "")
        assert db.execute(f"select {columns} from kept order by stream").fetchall() == expected
        assert ("is rebuilt" in caplog.text) == (release is not Kept)


@pytest.mark.parametrize(("more", "found"), [("x", "the log ends at 2"), ("xyz", "another event")])
def test_a_backup_that_went_another_way_is_told(db: Any, tmp_path: Path, more: str, found: str) -> None:
    with LogStore(tmp_path / "bank.act", durability="os") as store, Act(store, Account, Totals(db)) as app:
        deposit(app, "a")
        app.settle()
        app.backup(tmp_path / "backup.act")
        deposit(app, "b", "c")
        app.settle()
    with LogStore(tmp_path / "backup.act", durability="os") as store, Act(store, Account, Totals(db)) as app:
        deposit(app, *more)
        app.settle()
        assert found in blocked(app)
        assert rows(db) == [(stream, 1, 1) for stream in "abc"]
        app.reset("totals")
        finish(app)
        assert rows(db) == [(stream, 1, 1) for stream in f"a{more}"]


# Somebody else is in the way.


def test_a_locked_database_is_waited_for_and_uses_up_no_attempt(tmp_path: Path) -> None:
    path = tmp_path / "reports.sqlite"
    totals = Totals(lambda: sqlite3.connect(path, check_same_thread=False, timeout=0))
    with closing(sqlite3.connect(path)) as report, Act("memory:", Account, totals) as app:
        deposit(app, "a")
        app.settle()
        report.execute("begin exclusive")
        deposit(app, "b")
        for _ in range(12):
            app.settle()
            (found,) = app.targets()
            assert (found.blocked, found.attempts) == (False, 0)
            assert "locked" in str(found.error)
            app.defer("totals", until=datetime.now(UTC) - timedelta(seconds=1))  # its time has come
        report.rollback()
        finish(app)
        assert rows(report) == [("a", 1, 1), ("b", 1, 1)]
    totals.close()


def test_a_worker_goes_on_by_itself_when_the_lock_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "reports.sqlite"
    totals = Totals(lambda: sqlite3.connect(path, check_same_thread=False, timeout=0))
    with closing(sqlite3.connect(path, check_same_thread=False)) as report, Act("memory:", Account, totals) as app:
        report.execute("begin exclusive")
        worker = threading.Thread(target=app.run)
        worker.start()
        deposit(app, "a", "b")
        while totals._busy < 6:
            assert not list(app.blocked())
        report.rollback()
        app.wait_for(2, "totals", timeout=PATIENCE_SECONDS)
        app.stop()
        worker.join()
        assert rows(report) == [("a", 1, 1), ("b", 1, 1)]
    totals.close()


def test_a_lock_that_comes_in_the_middle_keeps_what_is_there(tmp_path: Path) -> None:
    """A list fails, is handled one by one, and the database is locked between two of them."""
    path = tmp_path / "reports.sqlite"

    class Locked(Listed, name="listed"):
        def __init__(self, connection: Any) -> None:
            super().__init__(connection)
            self.report = sqlite3.connect(path, check_same_thread=False, timeout=0)

        @batch(Deposited)
        def deposited(self, events: list[Committed[Deposited]], db: Any) -> None:
            if len(events) > 1:
                raise ValueError("one at a time, please")
            super().deposited(events, db)
            if events[0].position == 2 and not self.report.in_transaction:
                raise sqlite3.OperationalError("anything")

    listed = Locked(lambda: sqlite3.connect(path, check_same_thread=False, timeout=0))
    with Act("memory:", Account, listed) as app:
        deposit(app, *"abcd")
        app.settle()
        with closing(sqlite3.connect(path)) as look:
            assert positions(look) == [1]
            assert watermarks(look) == {"listed": 1}
        (found,) = app.targets()
        assert (found.watermark, found.failing) == (1, 2)
    listed.report.close()
    listed.close()


def test_transactions_of_duckdb_that_collide_are_tried_again(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "reports.duckdb") as db, Act("memory:", Account, Totals(db)) as app:
        deposit(app, "a")
        app.settle()
        other = db.cursor()
        other.execute("begin")
        other.execute("update totals set amount = amount + 100")
        deposit(app, "a")
        for _ in range(6):
            app.settle()
        (found,) = app.targets()
        assert (found.blocked, found.attempts) == (False, 0)
        assert "onflict" in str(found.error)
        other.execute("rollback")
        finish(app)
        assert rows(db) == [("a", 2, 2)]


def test_a_duckdb_file_that_another_process_has_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "reports.duckdb")
    hold = "import duckdb, sys; duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    totals = Totals(lambda: duckdb.connect(path))
    with holder, Act("memory:", Account, totals) as app:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        deposit(app, "a", "b")
        for _ in range(5):
            app.settle()
        (found,) = app.targets()
        assert (found.blocked, found.attempts) == (False, 0)
        holder.communicate()
        finish(app)
        totals.close()
    with duckdb.connect(path) as db:
        assert rows(db) == [("a", 1, 1), ("b", 1, 1)]


@pytest.mark.parametrize("opened", [False, True])
def test_a_process_without_descriptors_blocks_no_projection(connect: Connect, tmp_path: Path, opened: bool) -> None:
    def body(tell: Tell) -> None:
        totals = Totals(lambda: connect(tmp_path / "reports"))
        with LogStore(tmp_path / "bank.act", durability="os") as store, Act(store, Account, totals) as app:
            deposit(app, "a")
            if opened:
                app.settle()
                deposit(app, "a")
            app.correlate()
            app.drain(0)
            with Act("memory:", Account) as other:  # what is imported when it is first needed takes a descriptor
                other.on(Deposited, name="other")(lambda event: None)
                deposit(other, "a")
                other.settle()
            limit_descriptors(8)
            taken = take_descriptors()
            for _ in range(20):  # with the lease, once it is waited for, in between
                app.settle()
                os.close(taken.pop())  # what is written down about a target may need one
                app.defer("totals", until=datetime.now(UTC) - timedelta(seconds=1))
                taken.append(os.open(os.devnull, os.O_RDONLY))
            for each in taken:
                os.close(each)
            assert not list(app.blocked())
            finish(app)
        totals.close()

    run(body)
    with closing(connect(tmp_path / "reports")) as db:
        assert rows(db) == [("a", 1 + opened, 1 + opened)]


def test_a_rebuild_waits_for_a_locked_database(tmp_path: Path) -> None:
    path = tmp_path / "reports.sqlite"
    totals = Totals(lambda: sqlite3.connect(path, check_same_thread=False, timeout=0))
    with closing(sqlite3.connect(path, check_same_thread=False)) as report, Act("memory:", Account, totals) as app:
        deposit(app, "a", "b")
        app.settle()
        report.execute("begin exclusive")
        rebuilt: list[int] = []
        thread = threading.Thread(target=lambda: rebuilt.append(app.rebuild("totals")))
        thread.start()
        thread.join(0.2)
        assert rebuilt == []
        report.rollback()
        thread.join()
        assert rebuilt == [2]
        assert rows(report) == [("a", 1, 1), ("b", 1, 1)]
    totals.close()


# Connections.


def dict_rows(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


class Own(sqlite3.Cursor):
    def fetchall(self) -> list[Any]:
        return [dict_rows(self, row) for row in super().fetchall()]

    fetchone = None  # type: ignore[assignment]


class Connected(sqlite3.Connection):
    def cursor(self, factory: Any = Own) -> Any:
        return super().cursor(factory)


@pytest.mark.parametrize("how", ["dict rows", "sqlite3.Row", "bytes", "converters", "autocommit", "exclusive", "own"])
@pytest.mark.parametrize("kind", ["rows", "states"])
def test_any_connection_will_do(tmp_path: Path, how: str, kind: str) -> None:
    sqlite3.register_converter("bigint", lambda data: f"number {data.decode()}")
    sqlite3.register_converter("text", lambda data: f"text {data.decode()}")
    options: dict[str, Any] = {
        "converters": {"detect_types": sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES},
        "autocommit": {"isolation_level": None},
        "exclusive": {"isolation_level": "EXCLUSIVE"},
        "own": {"factory": Connected},
    }.get(how, {})
    path = tmp_path / "reports.sqlite"
    connection = sqlite3.connect(path, check_same_thread=False, **options)
    if how == "dict rows":
        connection.row_factory = dict_rows
    elif how == "sqlite3.Row":
        connection.row_factory = sqlite3.Row
    elif how == "bytes":
        connection.text_factory = bytes
    try:
        with Act("memory:", Account) as owner:
            for count in (1, 2):
                projection = (
                    Totals(connection) if kind == "rows" else StateProjection(Account, connection, table="totals")
                )
                with Act(owner.store, *([Account] if kind == "rows" else []), projection) as app:
                    deposit(app, "a", "b")
                    finish(app)
                    assert not list(app.blocked())
                with closing(sqlite3.connect(path)) as plain:
                    expected = ("a", count, count) if kind == "rows" else ("a", count, 2 * count - 1)
                    assert rows(plain)[0][:3] == expected
                    assert watermarks(plain) == {"totals": 2 * count}
    finally:
        connection.close()


def test_what_was_open_on_the_connection_is_not_undone_by_an_event_that_fails(tmp_path: Path) -> None:
    with closing(sqlite_at(tmp_path / "reports")) as connection:
        totals = Flaky(connection, 1)
        with Act("memory:", Account, totals) as app:
            connection.execute("create table mine (number integer)")
            connection.execute("insert into mine values (7)")
            deposit(app, "a")
            app.drain(limit=1)
            finish(app)
        assert connection.execute("select * from mine").fetchall() == [(7,)]
        assert rows(connection) == [("a", 1, 1)]


def test_a_connection_that_is_of_no_use_any_more_is_made_again(connect: Connect, tmp_path: Path) -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(connect(tmp_path / "reports"))
        return made[-1]

    totals = Totals(make)
    with Act("memory:", Account, totals) as app:
        deposit(app, "a")
        app.settle()
        made[0].close()
        deposit(app, "b")
        finish(app)
        assert rows(made[-1]) == [("a", 1, 1), ("b", 1, 1)]
    assert len(made) == 2
    totals.close()


def test_a_database_that_cannot_be_written_blocks(tmp_path: Path) -> None:
    path = tmp_path / "reports.sqlite"
    sqlite3.connect(path).close()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
    with closing(connection), Act("memory:", Account, Totals(connection)) as app:
        deposit(app, "a")
        app.settle()
        assert "readonly" in blocked(app)


class Noted(Event):
    text: str


class Note(State, events=[Noted]):
    text: str = ""

    @action
    def write(self, text: str) -> Noted:
        return Noted(text)


def test_a_state_that_cannot_be_written_is_the_fault_of_its_stream(db: Any) -> None:
    class Picky(StateProjection[Note], name="notes", retries=0):
        def _write_rows(self, events: Any, db: Any, app: Act) -> None:
            super()._write_rows(events, db, app)
            if any(event.data.text == "no" for event in events):
                raise ValueError("not this one")

    with Act("memory:", Picky(Note, db, table="notes")) as app:
        for stream, text in [("a", "yes"), ("b", "yes"), ("c", "no"), ("d", "yes")]:
            app.do(Note.write, stream, text=text)
        app.settle()
        (found,) = app.blocked()
        assert (found.failing, found.watermark) == (3, 2)
    assert [row[0] for row in rows(db, "notes")] == ["a", "b"]


# What was skipped.


def skipped_at_two(app: Act) -> None:
    """Three events of which the second cannot be handled, and was stepped over."""
    deposit(app, "a")
    deposit(app, "a", amount=Listed.poison)
    deposit(app, "a")
    finish(app, "listed")
    assert blocked(app).endswith("ValueError: not this one")
    assert app.skip("listed", reason="no").position == 2
    finish(app, "listed")


class Strict(Listed, name="listed", retries=0):
    """Blocked at once."""


@pytest.mark.parametrize("more", [0, 1])
def test_a_skipped_event_is_not_taken_from_the_log_as_one_that_is_missing(db: Any, more: int) -> None:
    with Act("memory:", Account, Strict(db)) as app:
        skipped_at_two(app)
        deposit(app, *["a"] * more)
        finish(app, "listed")
        assert positions(db) == [1, 3, *[4] * more]
        assert not list(app.blocked())


@pytest.mark.parametrize("how", ["rebuild", "drop", "empty"])
def test_rows_that_are_made_again_leave_out_what_was_skipped(db: Any, how: str) -> None:
    projection = Strict(db)
    with Act("memory:", Account, projection) as app:
        skipped_at_two(app)
        if how == "rebuild":
            app.rebuild(projection)
        else:
            db.execute("drop table listed" if how == "drop" else "delete from listed")
            db.commit()
        deposit(app, "a")
        finish(app, "listed")
        assert positions(db) == [1, 3, 4]


def test_a_reset_gives_a_projection_what_was_skipped_and_it_stays_in_whatever_is_made_again(db: Any) -> None:
    projection = Strict(db)
    with Act("memory:", Account, projection) as app:
        skipped_at_two(app)
        projection.poison = 0
        app.reset("listed")
        finish(app, "listed")
        assert positions(db) == [1, 2, 3]
        db.execute("drop table listed")
        db.commit()
        deposit(app, "a")
        finish(app, "listed")
        assert positions(db) == [1, 2, 3, 4]
        app.rebuild(projection)
        assert positions(db) == [1, 2, 3, 4]
        assert [each.position for each in app.skipped()] == [2]


@pytest.mark.parametrize("to", [0, 1, 2])
def test_a_reset_to_a_position_has_all_rows_made_again_as_nothing_can_be_taken_out(db: Any, to: int) -> None:
    projection = Listed(db)
    projection.poison = 0
    with Act("memory:", Account, projection) as app:
        deposit(app, "a", "b", "c")
        finish(app, "listed")
        db.execute("update listed set amount = 99")
        db.commit()
        app.reset("listed", to=to)
        deposit(app, "d")
        finish(app, "listed")
        assert db.execute("select position, amount from listed order by position").fetchall() == [
            (1, 1),
            (2, 1),
            (3, 1),
            (4, 1),
        ]
        assert not list(app.blocked())
