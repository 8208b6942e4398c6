"""Locks that a child may inherit taken: whatever another thread holds at the moment of a fork, the child has its own.

All locks of the package are found where they are: in its modules, and in what its classes have made. So one that is
added tomorrow is tried too.
"""

import asyncio
import gc
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
import pytest

from act_fast import Act, AsyncAct, Committed, DefinitionError, LogStore, connect
from act_fast.errors import StoreClosedError
from act_fast.stores.database.writer import Request
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated import ReplicatedStore
from tests.support.bank import Account, Deposited
from tests.support.processes import Tell, run
from tests.support.totals import Totals

LOCKS = (type(threading.Lock()), type(threading.RLock()))
LEFT_BEHIND = {"Worker", "LaneLoop", "Lead", "Batch", "Crew", "Renewer", "LoopThread", "Daemons"}
"""What works for a program: a child forgets these as a whole. Those that it has instead have locks of their own."""
SIGNALS = {"_told"}
"""Held by no thread: each is taken from the beginning, and let go of to wake the one thread that waits for it."""
HELD_DURING_A_FORK = {"act_fast._runtime.file_lock._guard"}


def locks() -> dict[str, Any]:
    """All locks of the package, by where they are."""
    found: dict[str, Any] = {}

    def see(place: str, value: Any) -> None:
        if isinstance(value, threading.Condition):
            value = value._lock  # type: ignore[attr-defined]
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, LOCKS) and all(each is not known for known in found.values()):
                found[f"{place} {len(found)}"] = each

    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] == "act_fast":
            for attribute, value in vars(module).items():
                if f"{name}.{attribute}" not in HELD_DURING_A_FORK:
                    see(f"{name}.{attribute}", value)
    for thing in gc.get_objects():
        cls = type(thing)
        if isinstance(thing, psycopg.Connection):
            continue  # a child never uses its parent's connections to a server, nor the locks of their library
        if str(cls.__module__).partition(".")[0] == "act_fast" and cls.__name__ not in LEFT_BEHIND:
            slots = chain.from_iterable(vars(each).get("__slots__", ()) for each in cls.__mro__)
            for attribute in [*slots, *getattr(thing, "__dict__", ())]:
                if attribute not in SIGNALS:
                    see(f"{cls.__qualname__}.{attribute}", getattr(thing, attribute, None))
    return found


class Holding:
    """Another thread holds all of some locks inside the block."""

    def __init__(self, held: dict[str, Any]) -> None:
        self._held = held
        self._missing = ""
        self._have, self._let_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        while not self._take():
            time.sleep(0.01)
        self._have.set()
        self._let_go.wait()
        for each in self._held.values():
            each.release()

    def _take(self) -> bool:
        """Take all, or none: threads at work take them in another order, and would wait for this one for ever."""
        taken: list[Any] = []
        for place, each in self._held.items():
            if not each.acquire(timeout=0.1):
                self._missing = place
                for one in taken:
                    one.release()
                return False
            taken.append(each)
        return True

    def __enter__(self) -> None:
        self._thread.start()
        assert self._have.wait(60), f"{self._missing} was held all the time"

    def __exit__(self, *_: object) -> None:
        self._let_go.set()
        self._thread.join()


@contextmanager
def all_in_use(path: Path, tables: Path) -> Iterator[Any]:
    """Everything that has locks, in use."""
    totals = Totals(lambda: sqlite3.connect(tables, check_same_thread=False))
    with Act(path, Account, totals) as app:
        app.on(Deposited, to="sync")(_sync)
        app.on(Deposited, to="async")(_async)
        app.do(Account.deposit, "a", amount=1)
        app.settle()
        app.load(Account, "a")
        assert app.sql("select count(*) from deposited").fetchall() == [(1,)]
        asyncio.run(_await(AsyncAct(app)))
        with connect(app) as asking, ReplicatedStore(MemoryEngine().open(), path.with_name("replica")) as replicated:
            replicated.append("a", [("Noted", b"{}")])
            yield app, asking, totals
    totals.close()


def _sync(event: Committed[Deposited]) -> None: ...


async def _async(event: Committed[Deposited]) -> None: ...


async def _await(app: AsyncAct) -> None:
    await app.load(Account, "a")
    assert await app.sync.store.wait_async(after=0) == 1  # type: ignore[attr-defined]


def test_a_child_has_no_lock_that_another_thread_of_its_parent_held(store_path: Path, tmp_path: Path) -> None:
    gc.collect()  # what earlier tests have left is none of this one's business
    with all_in_use(store_path, tmp_path / "tables.sqlite"):
        before = locks()
        assert {"_turns_lock", "_sound_lock"} <= {place.rpartition(".")[2].split()[0] for place in before}

        def look(tell: Tell) -> None:
            taken = [place for place, each in locks().items() if not each.acquire(blocking=False)]
            assert not taken

        with Holding(before):
            run(look)


def test_a_child_uses_and_lets_go_of_what_was_locked(store_path: Path, tmp_path: Path) -> None:
    with all_in_use(store_path, tmp_path / "tables.sqlite") as (app, asking, totals):

        def use(tell: Tell) -> None:
            refused: list[Callable[[], object]] = [
                lambda: app.do(Account.deposit, "a", amount=1),
                lambda: app.settle(raises=True),
                lambda: app.sql("select 1 from deposited"),
                lambda: asking.sql("select 1"),
                lambda: asyncio.run(app.store.wait_async(after=0)),
            ]
            for verb in refused:
                with pytest.raises(StoreClosedError):
                    verb()
            with Act(store_path, Account, totals) as own:  # the projection connects once more
                own.do(Account.deposit, "child", amount=1)
                own.settle()
                assert own.sql("select count(*) from deposited").fetchall() == [(2,)]
            totals.close()
            asking.close()
            app.close()

        with Holding(locks()):
            run(use)
        app.settle()
        with sqlite3.connect(tmp_path / "tables.sqlite") as rows:
            assert sorted(rows.execute("select stream, events from totals")) == [("a", 1), ("child", 1)]


def test_what_an_earlier_append_waited_for_is_no_lock_that_is_held() -> None:
    """As long as the traceback of an append that was given up lives, so does its request."""
    request = Request([], b"", None)
    with Holding(locks()):
        assert not request.settled


def test_a_store_that_is_dropped_in_a_child_waits_for_no_lock(store_path: Path) -> None:
    kept = [LogStore(store_path, durability="os")]

    def drop(tell: Tell) -> None:
        kept.clear()
        gc.collect()

    with Holding(locks()):
        run(drop)
    kept[0].close()


def test_a_child_is_told_that_the_connection_of_a_projection_is_its_parents(store_path: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "tables.sqlite", check_same_thread=False)
    totals = Totals(connection)
    with Act(store_path, Account, totals) as app:
        app.do(Account.deposit, "a", amount=1)
        app.settle()

        def use(tell: Tell) -> None:
            with pytest.raises(DefinitionError, match="a function that connects"), Act(store_path, Account, totals):
                pass

        run(use)
        app.do(Account.deposit, "a", amount=1)
        app.settle()
    assert connection.execute("select events from totals").fetchall() == [(2,)]
    connection.close()
