"""An app with reactions of every kind, the things that are done with it, and whether it still works afterwards."""

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from act_fast import Act, Committed, Event, Lane, LogStore, Projection, SqlProjection, State, action, on
from act_fast._runtime.logger import log
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard
from tests.support.processes import until
from tests.support.working import working

STREAMS = ("a", "b", "c")
LEASE_SECONDS = 0.25


class Rows(Projection, name="rows"):
    """In memory."""

    def __init__(self) -> None:
        self.amounts: dict[int, int] = {}

    @on(Deposited)
    def deposited(self, event: Committed[Deposited]) -> None:
        self.amounts[event.position] = event.data.amount

    def fresh(self) -> "Rows":
        return Rows()

    def take_over(self, fresh: "Rows") -> None:
        self.amounts = fresh.amounts


class Sums(SqlProjection, name="sums"):
    """In SQLite; an event that counts twice, or not at all, shows."""

    tables = ("sums",)

    def setup(self, db: Any) -> None:
        db.execute(f"create table if not exists {self.table('sums')} (stream text primary key, amount int, events int)")

    @on(Deposited)
    def deposited(self, event: Committed[Deposited], db: Any) -> None:
        db.execute(
            f"insert into {self.table('sums')} values (?, ?, 1) on conflict (stream)"
            " do update set amount = amount + excluded.amount, events = events + 1",
            (event.stream, event.data.amount),
        )


class Renamed(Event):
    name: str


class Named(State):
    """Comes to the app later."""

    @action
    def rename(self, name: str) -> Renamed:
        return Renamed(name)


class Ledger:
    """An app with four events and four targets that know of none of them yet.

    Args:
        on_disk: whether its store is on disk, otherwise it is in memory.
    """

    def __init__(self, on_disk: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="act-fast-"))
        self._address = str(self.folder / "bank.act") if on_disk else "memory:"
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.rows = Rows()
        self.heard = Heard()
        self.found = Heard()
        self.sums = Sums(self.database)
        self.open()
        for stream in (*STREAMS, "a"):
            self.app.do(Account.deposit, stream, amount=1)

    def open(self) -> None:
        lanes = [Lane("default", lease=LEASE_SECONDS)]
        self.app = Act(self._address, Account, self.rows, self.sums, lanes=lanes)
        self.running = False
        self.declare()

    def declare(self) -> None:
        """Declare the reactions that are not there."""
        there = {each.name for each in self.app.reactions}
        if "each" not in there:
            self.app.on(Deposited, name="each", to="each-{stream}")(self.heard)
        if "found" not in there:
            self.app.on(Deposited, name="found", to=lambda event: "found")(self.found)

    def open_again(self) -> None:
        """Have an app that works: another one, if this one was closed, or was about to be."""
        if self.app._program.closed:
            self.app.close()
            self.open()
        self.declare()

    def close(self) -> None:
        self.app.close()
        self.database.close()
        shutil.rmtree(self.folder)

    def check(self) -> None:
        """Make sure that all of it works, from another thread, so that a lock that was kept is noticed."""
        errors: list[BaseException] = []
        thread = threading.Thread(target=self._check, args=(errors,), daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), "something waits for a lock that nothing lets go of"
        if errors:
            raise errors[0]

    def _check(self, errors: list[BaseException]) -> None:
        try:
            self._works()
        except BaseException as error:
            errors.append(error)

    def _works(self) -> None:
        self.open_again()
        app = self.app
        log.warning("whoever was interrupted while logging keeps a handler's lock, and all others wait for it")
        app.do(Account.deposit, "a", amount=1)
        if "later" not in [each.name for each in app.reactions]:
            self.later()
        self.include()
        until(self._all_moved)
        positions = [event.position for event in app.query(events=[Deposited])]
        assert list(dict.fromkeys(self.found.positions)) == positions
        assert list(self.rows.amounts) == positions
        rows = dict(self.database.execute("select stream, events from sums").fetchall())
        for stream in {event.stream for event in app.query()}:
            heard = [event.position for event in self.heard.events if event.stream == stream]
            own = [event.position for event in app.query(events=[Deposited], stream=stream)]
            assert list(dict.fromkeys(heard)) == own
            assert rows.get(stream, 0) == len(own)
            assert app.load(Account, stream).state.events == app.store.version(stream)
        assert app.sql("select count(*) from deposited").fetchall() == [(len(positions),)]
        assert app.sql("select sum(events) from account").fetchall() == [(app.store.head,)]
        with working(app):
            app.do(Account.deposit, "b", amount=1)
            self.heard.await_that(lambda: self.heard.positions[-1] == app.store.head)

    def _all_moved(self) -> bool:
        self.app.settle()
        self.app.unblock("each-a")  # blocked by hand, perhaps
        for each in self.app.blocked():
            assert "rebuild it" in str(each.error), f"{each.name}: {each.error}"
            self.app.rebuild(each.name)  # the log was restored, and so is another one
        found = list(self.app.targets())
        return len(found) >= 7 and all(not each.lag and each.holder is None for each in found)

    def later(self) -> None:
        """Declare one more reaction."""
        self.app.on(Deposited, name="later", to="later")(Heard())

    def include(self) -> None:
        """Have the app take one more state class, unless it has."""
        if Named not in self.app.states:
            self.app.include(Named)
        assert not self.app.load(Named, "none").version


def _settle(ledger: Ledger) -> None:
    ledger.app.settle()


def _settle_one(ledger: Ledger) -> None:
    ledger.app.settle(1, concurrency=1)
    ledger.app.drain(1)


def _run(ledger: Ledger) -> None:
    last = ledger.app.store.head

    def stop(event: Committed[Any]) -> None:
        if event.position == last and ledger.running:  # a stop before a run would end that one
            ledger.app.stop()

    ledger.app.on(Deposited, name="stop", to="stop")(stop)
    ledger.running = True
    try:
        ledger.app.run()
    finally:
        ledger.running = False


def _declare(ledger: Ledger) -> None:
    ledger.later()
    ledger.app.settle()


def _do(ledger: Ledger) -> None:
    for stream in ("a", "new"):
        ledger.app.do(Account.deposit, stream, amount=1)
        ledger.app.do(Account.open, stream, "Ada")


def _load(ledger: Ledger) -> None:
    app = ledger.app
    app.load(Account, "a")
    app.load(Account, "a", at=2)
    list(app.history(Account, "a"))
    list(app.replay(Account))
    list(app.store.streams())
    list(app.targets())


def _rebuild(ledger: Ledger) -> None:
    ledger.app.settle()
    ledger.app.rebuild("rows")
    ledger.app.rebuild("sums")


def _sql(ledger: Ledger) -> None:
    app = ledger.app
    app.sql("select count(*) from deposited").fetchall()
    app.sql("select * from account").fetchall()
    app.sql("select * from targets").fetchall()


def _wait_for(ledger: Ledger) -> None:
    app = ledger.app
    before = app.store.head
    app.settle()
    app.wait_for(before, "each-a", timeout=60)
    after = app.do(Account.deposit, "a", amount=1)
    with suppress(TimeoutError):
        app.wait_for(after, "each-a", timeout=0.01)  # nothing is at work


def _include(ledger: Ledger) -> None:
    ledger.include()
    list(ledger.app.replay(Named))


def _restore(ledger: Ledger) -> None:
    app, source = ledger.app, ledger.folder / "log.jsonl"
    app.settle()
    app.export(source)
    app.restore(source, dry_run=True)
    app.restore(source, replace=True)
    app.do(Account.deposit, "a", amount=1)


def _restore_store(ledger: Ledger) -> None:
    app, source = ledger.app, ledger.folder / "log.parquet"
    app.export(source)
    app.close()
    with LogStore(ledger.folder / "bank.act", create=False) as store:
        store.restore(source, replace=True)
        assert store.head == len(STREAMS) + 1


def _exchange(ledger: Ledger) -> None:
    app, folder = ledger.app, ledger.folder
    app.backup(folder / "copy.act")
    for name in ("log.jsonl", "log.csv", "log.parquet"):
        app.export(folder / name)
    app.export(folder / "sums.csv", "select stream, sum(amount) from deposited group by stream")


def _by_hand(ledger: Ledger) -> None:
    app = ledger.app
    app.settle()
    app.do(Account.deposit, "a", amount=1)
    app.correlate()
    app.block("each-a", error="by hand")
    app.unblock()
    app.prioritize("each-b", priority=3)
    app.defer("found", until=datetime.now(UTC))
    app.reset("found")
    app.reset("each-b", to=1)
    app.forget_reaction("unknown")
    list(app.blocked())
    list(app.skipped())
    app.cursors()


def _skip(ledger: Ledger) -> None:
    app = ledger.app
    app.on(Deposited, name="skips", to="skips")(Heard())
    app.correlate()
    app.skip("skips", 1, reason="no code will ever handle it")
    app.settle()
    list(app.skipped())


def _reopen(ledger: Ledger) -> None:
    ledger.app.settle()
    ledger.app.close()
    ledger.open()
    ledger.app.do(Account.deposit, "a", amount=1)


THINGS_DONE: dict[str, Callable[[Ledger], None]] = {
    "do": _do,
    "load": _load,
    "settle": _settle,
    "drain": _settle_one,
    "run": _run,
    "declare": _declare,
    "rebuild": _rebuild,
    "sql": _sql,
    "wait_for": _wait_for,
    "include": _include,
    "restore": _restore,
    "restore a store": _restore_store,
    "exchange": _exchange,
    "by hand": _by_hand,
    "skip": _skip,
    "reopen": _reopen,
}

ON_DISK = {"restore a store", "exchange", "reopen"}
