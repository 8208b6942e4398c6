"""Rebuilding: a projection's events once more, into a copy beside the live one, which then takes its place."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from act_fast import (
    Act,
    Actor,
    AsyncAct,
    Committed,
    LogStore,
    Projection,
    StateProjection,
    StoreClosedError,
    ValidationError,
    on,
)
from tests.projections.test_projections import Balances
from tests.projections.test_sql_projections import connect, db, rows, sqlite_at, watermarks
from tests.support.bank import Account, Deposited
from tests.support.heard import PATIENCE_SECONDS, Heard, deposit
from tests.support.totals import Totals

__all__ = ["connect", "db"]


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """SQLite alone, for what takes many small changes, which DuckDB is slow at."""
    connection = sqlite_at(tmp_path / "reports")
    yield connection
    connection.close()


class Rebuildable(Balances, name="balances"):
    factor = 1

    @on(Deposited)
    def deposited(self, event: Committed[Deposited]) -> None:
        self._add(event, self.factor * event.data.amount)

    def fresh(self) -> "Rebuildable":
        made = Rebuildable()
        made.factor = self.factor
        return made

    def take_over(self, fresh: "Rebuildable") -> None:
        self.rows, self.positions = fresh.rows, fresh.positions


class Stopping(Totals, name="totals"):
    """Fails as an interrupted rebuild does, after so many events."""

    left = -1

    @on(Deposited)
    def deposited(self, event: Committed[Deposited], db: Any) -> None:
        Stopping.left -= 1
        if Stopping.left == 0:
            raise KeyboardInterrupt
        super().deposited(event, db)


def test_a_projection_in_memory_is_replayed_up_to_where_it_was_and_goes_on_from_there() -> None:
    balances = Rebuildable()
    with Act("memory:", Account, balances) as app:
        deposit(app, "a", "b", "a")
        app.settle()
        deposit(app, "a")
        balances.factor = 10
        assert app.rebuild(balances) == 3
        assert balances.rows == {"a": 20, "b": 10}
        app.settle()
        assert balances.rows == {"a": 30, "b": 10}
        assert balances.positions == [1, 2, 3, 4]


def test_rebuilding_what_nothing_has_happened_to_is_no_harm() -> None:
    balances = Rebuildable()
    with Act("memory:", Account, balances) as app:
        assert app.rebuild(balances) == 0
        deposit(app, "a")
        app.settle()
        assert balances.rows == {"a": 1}


def test_async_methods_are_replayed_too() -> None:
    class Awaited(Projection):
        def __init__(self) -> None:
            self.seen: list[int] = []

        @on(Deposited)
        async def deposited(self, event: Committed[Deposited]) -> None:
            self.seen.append(event.position)

        def fresh(self) -> "Awaited":
            return Awaited()

        def take_over(self, fresh: "Awaited") -> None:
            self.seen = fresh.seen

    awaited = Awaited()
    with Act("memory:", Account, awaited) as app:
        deposit(app, "a", "b")
        app.settle()
        assert app.rebuild(awaited) == 2
        assert awaited.seen == [1, 2]


def test_without_a_way_to_make_a_copy_it_is_refused() -> None:
    balances = Balances()
    with Act("memory:", Account, balances) as app:
        deposit(app, "a")
        app.settle()
        with pytest.raises(ValidationError, match=r"fresh\(\)"):
            app.rebuild(balances)
        assert not list(app.blocked())


def test_only_projections_of_the_app_can_be_rebuilt(app: Act) -> None:
    with pytest.raises(ValidationError, match="'balances' is not a projection of this app, which has none"):
        app.rebuild(Balances())
    app.include(Balances())
    with pytest.raises(ValidationError, match="'sums' is not a projection of this app, which has 'balances'"):
        app.rebuild("sums")


def test_tables_are_swapped_for_those_that_the_code_of_today_makes(db: Any) -> None:
    class Doubled(Totals, name="totals"):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            self._add(event.stream, 2 * event.data.amount, db)

    with Act("memory:", Account) as app:
        with Act(app.store, Totals(db)) as before:
            deposit(app, "a", "b", "a")
            before.settle()
        with Act(app.store, Doubled(db)) as after:
            assert after.rebuild("totals") == 3
            assert rows(db) == [("a", 4, 2), ("b", 2, 1)]
            assert watermarks(db) == {"totals": 3}
            deposit(app, "b")
            after.settle()
    assert rows(db) == [("a", 4, 2), ("b", 4, 2)]


def test_what_workers_have_not_come_to_yet_is_rebuilt_too_and_counts_once(db: Any) -> None:
    totals = Totals(db)
    with Act("memory:", Account, totals) as app:
        deposit(app, "a", "b")
        app.settle()
        deposit(app, "a")
        assert app.rebuild(totals) == 3
        assert rows(db) == [("a", 2, 2), ("b", 1, 1)]
        app.settle()
        assert rows(db) == [("a", 2, 2), ("b", 1, 1)]


def test_it_can_be_done_time_and_again_also_with_indexes(db: Any) -> None:
    class Indexed(Totals, name="totals"):
        def indexes(self, db: Any) -> None:
            db.execute(f"create index if not exists by_amount on {self.table('totals')} (amount)")

    with Act("memory:", Account, Indexed(db)) as app:
        deposit(app, "a", "b", "a")
        app.settle()
        for count in (3, 4, 5):
            assert app.rebuild("totals") == count
            deposit(app, "a")
        app.settle()
    assert rows(db) == [("a", 5, 5), ("b", 1, 1)]


def test_the_live_one_goes_on_while_it_is_rebuilt(db: Any) -> None:
    """New events come, and are handled by a worker, in the middle of the replay."""
    totals = Totals(db)
    with Act("memory:", Account, totals) as app:
        deposit(app, *"ab" * 50)
        app.settle()

        def meddle(position: int, head: int) -> None:
            if app.store.head < 110:
                deposit(app, "a")
                app.settle()

        assert app.rebuild(totals, progress=meddle) == 110
        assert sorted(rows(db)) == [("a", 60, 60), ("b", 50, 50)]
        app.settle()
    assert rows(db) == [("a", 60, 60), ("b", 50, 50)]
    assert watermarks(db) == {"totals": 110}


def test_it_can_be_rebuilt_while_a_worker_runs(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "reports.sqlite", check_same_thread=False, timeout=PATIENCE_SECONDS)
    totals = Totals(connection)
    with Act("memory:", Account, totals) as app:
        worker = threading.Thread(target=app.run)
        worker.start()
        for _ in range(5):
            deposit(app, *"abc" * 20)
            app.rebuild(totals)
        deposit(app, "a")
        app.wait_for(app.store.head, totals, timeout=PATIENCE_SECONDS)
        app.stop()
        worker.join()
        assert not list(app.blocked())
    assert rows(connection) == [("a", 101, 101), ("b", 100, 100), ("c", 100, 100)]
    connection.close()


def test_an_interrupted_rebuild_is_resumed_and_the_live_one_is_as_it_was(lite: sqlite3.Connection) -> None:
    totals = Stopping(lite)
    with Act("memory:", Account, totals) as app:
        deposit(app, *"ab" * 1200)
        app.settle()
        before = rows(lite)
        Stopping.left = 1500
        with pytest.raises(KeyboardInterrupt):
            app.rebuild(totals)
        assert rows(lite) == before
        # Up to the event that did not get through: the list it was in is tried again without it.
        assert watermarks(lite) == {"totals": 2400, "totals__fresh": 1499}
        assert app.rebuild(totals) == 901
        assert rows(lite) == before == [("a", 1200, 1200), ("b", 1200, 1200)]


def test_an_interrupted_rebuild_can_be_begun_anew(lite: sqlite3.Connection) -> None:
    totals = Stopping(lite)
    with Act("memory:", Account, totals) as app:
        deposit(app, *"ab" * 600)
        app.settle()
        Stopping.left = 1100
        with pytest.raises(KeyboardInterrupt):
            app.rebuild(totals)
        assert app.rebuild(totals, resume=False) == 1200
    assert rows(lite) == [("a", 600, 600), ("b", 600, 600)]


def test_an_error_leaves_the_live_one_as_it_was(db: Any) -> None:
    totals = Totals(db)
    with Act("memory:", Account, totals) as app:
        deposit(app, "a", "b", amount=5)
        app.settle()
        deposit(app, "a", amount=13)
        totals.fails_on = 13
        with pytest.raises(ValueError, match="not this one"):
            app.rebuild(totals)
        assert rows(db) == [("a", 5, 1), ("b", 5, 1)]


def test_what_was_blocked_goes_on_once_it_is_mended_and_rebuilt(db: Any) -> None:
    totals = Totals(db)
    with Act("memory:", Account, totals) as app:
        totals.fails_on = 13
        deposit(app, "a", amount=13)
        app.settle()
        assert len(list(app.blocked())) == 1
        totals.fails_on = None
        app.rebuild(totals)
        deposit(app, "a")
        app.settle()
        assert not list(app.blocked())
    assert rows(db) == [("a", 14, 2)]


def test_no_other_reaction_runs(db: Any) -> None:
    heard = Heard()
    with Act("memory:", Account, Totals(db)) as app:
        app.on(Deposited, name="mail")(heard)
        deposit(app, "a", "b")
        app.settle()
        app.rebuild("totals")
        app.settle()
        assert sorted(heard.positions) == [1, 2]


def test_progress_ends_at_the_head(db: Any) -> None:
    told: list[tuple[int, int]] = []
    with Act("memory:", Account, Totals(db)) as app:
        deposit(app, "a", "b")
        app.do(Account.open, "a", owner="Ada")
        app.rebuild("totals", progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)]


def test_a_table_of_states_is_rebuilt_with_the_columns_of_today(db: Any) -> None:
    with Act("memory:", StateProjection(Account, db, table="accounts")) as app:
        deposit(app, "a", "b", "a", amount=5)
        app.settle()
        db.execute("alter table accounts drop column owner")
        deposit(app, "a", amount=5)
        assert app.rebuild("accounts") == 4
        app.settle()
        assert not list(app.blocked())
    assert rows(db, "accounts") == [("a", 3, 4, "", 15, 3), ("b", 1, 2, "", 5, 1)]


def test_only_what_comes_from_the_source_is_replayed(db: Any) -> None:
    class OfOne(Totals, name="one", source="a"): ...

    class OfSome(Totals, name="some", source="^a"): ...

    with Act("memory:", Account, OfOne(db)) as app:
        deposit(app, "a", "aa", "b")
        assert app.rebuild("one") == 1
        assert rows(db) == [("a", 1, 1)]
    with Act("memory:", Account, OfSome(db)) as app:
        deposit(app, "a", "aa", "b")
        assert app.rebuild("some") == 2
        assert rows(db) == [("a", 1, 1), ("aa", 1, 1)]


async def test_rebuilding_is_awaited_in_an_async_app(db: Any) -> None:
    async with AsyncAct("memory:", Account, Totals(db)) as app:
        await app.do(Account.deposit, "a", amount=5)
        assert await app.rebuild("totals") == 1
    assert rows(db) == [("a", 5, 1)]


class Swapping(Rebuildable, name="balances"):
    """Tells what is so while the copy takes over."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def take_over(self, fresh: Rebuildable) -> None:
        type(self).meanwhile()
        super().take_over(fresh)


def test_no_worker_touches_the_projection_while_the_copy_takes_over() -> None:
    balances = Swapping()
    with Act("memory:", Account, balances) as app:
        deposit(app, "a", "b")
        app.settle()

        def meanwhile() -> None:
            assert next(app.targets("balances")).blocked
            deposit(app, "a")
            assert app.settle().drained.handled == 0
            assert balances.rows == {"a": 1, "b": 1}

        Swapping.meanwhile = staticmethod(meanwhile)
        assert app.rebuild(balances) == 2
        assert not list(app.blocked())
        app.settle()
        assert balances.rows == {"a": 2, "b": 1}


@pytest.mark.parametrize("blocked", [True, False])
def test_a_rebuild_that_fails_leaves_the_target_as_it_was(blocked: bool) -> None:
    def fail() -> None:
        raise ValueError("no room")

    balances = Swapping()
    with Act("memory:", Account, balances) as app:
        deposit(app, "a")
        app.settle()
        if blocked:
            app.block("balances", error="for a reason")
        Swapping.meanwhile = staticmethod(fail)
        with pytest.raises(ValueError, match="no room"):
            app.rebuild(balances)
        assert [target.error for target in app.blocked()] == (["for a reason"] if blocked else [])
        Swapping.meanwhile = staticmethod(lambda: None)
        app.rebuild(balances)
        assert not list(app.blocked())


def test_what_methods_do_in_a_rebuild_is_not_done_in_the_name_of_whoever_asks_for_it(
    lite: sqlite3.Connection,
) -> None:
    """Nor is what they do for events that the database has missed caused by the event that found that out."""
    causes: list[tuple[str | None, Any, str | None]] = []

    class Acting(Totals, name="totals"):
        def _add(self, stream: str, amount: int, db: Any) -> None:
            meta = audit.do(Account.deposit, "audit", amount=amount).meta
            assert meta.causation is not None
            event = meta.causation.event
            causes.append((meta.correlation, meta.causation.action.actor, event and event.stream))
            super()._add(stream, amount, db)

    with Act("memory:", Account) as audit, Act("memory:", Account, Acting(lite)) as app:
        deposit(app, "a")
        with app.context(actor=Actor("ada", "Ada"), correlation="request"):
            app.rebuild("totals")
            (found,) = causes
            assert found[0] != "request"
            assert found[1:] == (None, None)
            assert app.do(Account.deposit, "b", amount=1).meta.correlation == "request"
        app.settle()
        lite.execute("drop table totals")
        lite.commit()
        causes.clear()
        deposit(app, "c")
        app.settle()
        assert [cause[2] for cause in causes] == [None, None, "c"]


def test_a_log_that_is_replaced_between_two_rounds_of_a_rebuild_ends_it(tmp_path: Path) -> None:
    balances = Rebuildable()
    with LogStore(tmp_path / "bank.act", durability="os") as store, Act(store, Account, balances) as app:
        deposit(app, *"ab")
        app.settle()
        app.export(tmp_path / "bank.jsonl")

        def restore(position: int, head: int) -> None:
            if position == head:
                store.restore(tmp_path / "bank.jsonl", replace=True)

        with pytest.raises(StoreClosedError, match="replaced by a restored or rewritten one"):
            app.rebuild(balances, progress=restore)
        assert balances.rows == {"a": 1, "b": 1}
        assert not list(app.blocked())


def test_a_log_that_is_replaced_in_the_middle_of_a_rebuild_ends_it(tmp_path: Path) -> None:
    balances = Rebuildable()
    with LogStore(tmp_path / "bank.act", durability="os") as store, Act(store, Account, balances) as app:
        deposit(app, *"ab" * 600)
        app.settle()
        app.export(tmp_path / "bank.jsonl")

        def restore(position: int, head: int) -> None:
            store.restore(tmp_path / "bank.jsonl", replace=True)

        with pytest.raises(StoreClosedError, match="replaced by a restored or rewritten one"):
            app.rebuild(balances, progress=restore)
        assert balances.rows == {"a": 600, "b": 600}
        assert not list(app.blocked())


def test_a_rebuild_tells_its_methods_that_they_repeat(lite: sqlite3.Connection) -> None:
    told: list[tuple[str, int, str | None, bool]] = []

    class Telling(Projection, name="telling"):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited]) -> None:
            told.append(("telling", event.position, event.target, app.replaying))

        def fresh(self) -> "Telling":
            return Telling()

        def take_over(self, fresh: Any) -> None: ...

    class Waiting(Projection, name="waiting"):
        @on(Deposited)
        async def deposited(self, event: Committed[Deposited]) -> None:
            told.append(("waiting", event.position, event.target, app.replaying))

        def fresh(self) -> "Waiting":
            return Waiting()

        def take_over(self, fresh: Any) -> None: ...

    class TellingTotals(Totals, name="totals"):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            told.append(("totals", event.position, event.target, app.replaying))
            super().deposited(event, db)

    totals = TellingTotals(lite)
    names = ("telling", "waiting", "totals")
    with Act("memory:", Account, Telling(), Waiting(), totals) as app:
        deposit(app, "a", "b")
        app.settle(raises=True)
        assert sorted(told) == sorted((name, position, name, False) for name in names for position in (1, 2))
        told.clear()
        deposit(app, "c")
        for name in names:
            app.rebuild(name)
        repeats = [(name, position, name, True) for name in names for position in (1, 2)]
        assert sorted(told) == sorted([*repeats, ("totals", 3, "totals", False)]), "SQL is rebuilt up to the head"
        assert app.replaying is False
        told.clear()
        app.settle(raises=True)
        lite.execute("drop table totals")
        lite.commit()
        deposit(app, "d")
        app.settle(raises=True)
        made_again = [each for each in told if each[0] == "totals"]
        assert made_again[-4:] == [("totals", position, "totals", position < 4) for position in (1, 2, 3, 4)]
