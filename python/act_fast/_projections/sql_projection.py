"""Projections into SQL tables, whose effect is exactly once: the watermark is in the same transaction as the rows."""

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from act_fast._events.committed import Committed
from act_fast._projections.database import Address, Database
from act_fast._projections.projection import Projection
from act_fast._projections.rebuild import Rebuilding, pages_between
from act_fast._reactions.partial_batch import Partly
from act_fast.errors import DefinitionError, NonRetryableError

if TYPE_CHECKING:
    from act_fast._app.act import Act

__all__ = ["SqlProjection"]

_FRESH: Final = "__fresh"
_ROUNDS_MAX: Final = 20


class SqlProjection(Projection):
    """A projection into tables of SQLite or DuckDB. Each event counts exactly once, whatever dies in between.

        class Balances(SqlProjection):
            tables = ("balances",)

            def setup(self, db: sqlite3.Cursor) -> None:
                db.execute(f"create table if not exists {self.table('balances')} (stream text primary key, cents int)")

            @on(Deposited)
            def deposited(self, event: Committed[Deposited], db: sqlite3.Cursor) -> None:
                db.execute(
                    f"insert into {self.table('balances')} values (?, ?)"
                    " on conflict (stream) do update set cents = cents + excluded.cents",
                    (event.stream, event.data.amount),
                )

        app = Act("bank.act", Account, Balances(sqlite3.connect("reports.db", check_same_thread=False)))

    Its methods take a cursor too, in a transaction that they leave alone: it ends with all events that were fetched
    together, and holds the watermark, a row of the table `act_fast_watermarks (projection, position)`. What is at or
    below the watermark is left out. Events that the database has missed, as when it was restored from a backup or made
    anew, are taken from the log first.

    Args:
        connection: of `sqlite3` (made with `check_same_thread=False`) or DuckDB, or a function that makes one when it
            is needed. Nothing else should have a transaction open on it.
        name: what its progress is stored under; that of the class when left out.

    Attributes:
        tables: the names of its tables, those that `rebuild` makes anew.
    """

    tables: Sequence[str] = ()
    _extra: ClassVar[int] = 1

    def __init__(self, connection: Address, *, name: str | None = None) -> None:
        if name is not None:
            self.name = name
        self._suffix = ""
        self._is_set_up = False
        self._is_whole = False
        self._database = Database(self._place, connection)

    def setup(self, db: Any) -> None:
        """Make the tables that are not there, named by `table()`. Called before anything else, in the transaction."""

    def indexes(self, db: Any) -> None:
        """Make the indexes that are not there. Called after `setup`, and at the end of a rebuild."""

    def table(self, name: str) -> str:
        """What to call a table in SQL, in quotes; while a rebuild goes on that is another one beside it."""
        if name not in self.tables:
            raise DefinitionError(f"{self._place} has no table {name!r}; name it in tables = (...)")
        return _quoted(name + self._suffix)

    def close(self) -> None:
        """Close the connection if it was made by a function."""
        self._database.close()

    def fresh(self) -> Self:
        """A copy that writes to tables of its own, beside those of this one."""
        made = copy.copy(self)
        made._suffix = _FRESH
        made._is_set_up = False
        made._is_whole = True
        made.__dict__.pop("_methods", None)  # they are bound to this one
        made.__dict__.pop("reactions", None)
        return made

    def take_over(self, fresh: Any) -> None:
        """Put the tables of a copy in the place of these, in one transaction."""
        with self._database.transaction() as db:
            self._swap(fresh, db)

    def _takes_lists(self) -> bool:
        return True

    def _handler(self) -> Callable[..., object]:
        for method in self._methods.values():
            if method.asynchronous:
                raise DefinitionError(f"{method.place} is `async def`; databases are not, so write it as `def`")
        return self._handle

    def _handle(self, events: list[Committed[Any]], app: "Act") -> None:
        """What the reaction calls."""
        if not self._is_whole:
            self._fill_gap(events[0].position, app)
        self._apply(events, app)

    def _fill_gap(self, upto: int, app: "Act") -> None:
        """Take from the log what was acknowledged once and is not in this database."""
        self._apply([], app)
        watermark, head = self._position(), app.store.head
        if watermark > head:
            raise NonRetryableError(
                f"the database of projection {self.name!r} has come to position {watermark}, but the log ends at"
                f" {head}: it belongs to another log, or the log was restored from an older backup; rebuild it"
            )
        for page in pages_between(app._program, self, watermark, upto - 1):
            self._apply(page, app)
        self._is_whole = True

    def _apply(self, events: list[Committed[Any]], app: "Act") -> None:
        """Handle events in one transaction; if one fails, those before it in a transaction without it.

        Raises:
            Partly: the first of them are handled for good, and the next one fails.
        """
        try:
            self._apply_all(events, app)
        except Partly as partly:
            self._apply_all(events[: partly.handled], app)
            raise

    def _apply_all(self, events: list[Committed[Any]], app: "Act") -> None:
        with self._database.transaction() as db:
            self._set_up(db)
            watermark = self._read(db)
            known = sum(event.position <= watermark for event in events)
            if known < len(events) or not events:
                self._advance(events[known:], known, db, app)
                self._write(db, max(watermark, events[-1].position if events else 0))
        self._is_set_up = True

    def _advance(self, events: list[Committed[Any]], known: int, db: Any, app: "Act") -> None:
        try:
            self._project(events, db, app)
        except Partly as partly:
            raise Partly(known + partly.handled, partly.error) from partly.error
        except Exception as error:
            if not known:
                raise
            raise Partly(known, error) from error

    def _project(self, events: list[Committed[Any]], db: Any, app: "Act") -> None:
        """Let the methods handle events."""
        self._run(events, db)

    def _set_up(self, db: Any) -> None:
        if self._is_set_up:
            return
        db.execute(
            "create table if not exists act_fast_watermarks (projection text primary key, position bigint not null)"
        )
        self.setup(db)
        if not self._suffix:
            self.indexes(db)

    def _read(self, db: Any) -> int:
        """The position that the tables have come to."""
        return self._row(db) or 0

    def _row(self, db: Any) -> int | None:
        found = db.execute(
            "select position from act_fast_watermarks where projection = ?", (self.name + self._suffix,)
        ).fetchone()
        return None if found is None else int(found[0])

    def _write(self, db: Any, position: int) -> None:
        db.execute(
            "insert into act_fast_watermarks values (?, ?)"
            " on conflict (projection) do update set position = excluded.position",
            (self.name + self._suffix, position),
        )

    def _position(self) -> int:
        with self._database.transaction() as db:
            return self._read(db)

    def _rebuild(self, rebuilding: Rebuilding, app: "Act") -> None:
        """Replay into tables beside the live ones, which go on meanwhile, and swap them in one transaction."""
        fresh = self.fresh()
        if not rebuilding.resume:
            fresh._drop()
        fresh._apply([], app)
        rebuilding.begin_after(fresh._position())
        for _ in range(_ROUNDS_MAX):  # until nothing has come meanwhile; what little comes later waits for the swap
            head = rebuilding.head
            rebuilding.replay(lambda events: fresh._apply(events, app), head)
            if head == rebuilding.head:
                break
        with self._database.transaction() as db:
            self._set_up(db)
            if fresh._row(db) is None:
                return  # somebody else has rebuilt it at the same time, and was faster
            live = self._read(db)
            if live <= rebuilding.head:  # otherwise it is that of another log
                rebuilding.replay(lambda events: fresh._catch_up(events, db, app), live)
            self._swap(fresh, db)
        self._is_whole = True
        rebuilding.unblock()

    def _catch_up(self, events: list[Committed[Any]], db: Any, app: "Act") -> None:
        self._project(events, db, app)
        self._write(db, events[-1].position)

    def _swap(self, fresh: Self, db: Any) -> None:
        position = fresh._read(db)
        for name in self.tables:
            db.execute(f"drop table if exists {self.table(name)}")
            db.execute(f"alter table {fresh.table(name)} rename to {self.table(name)}")
        db.execute("delete from act_fast_watermarks where projection = ?", (fresh.name + fresh._suffix,))
        self._write(db, position)
        self.indexes(db)

    def _drop(self) -> None:
        """Throw away what an interrupted rebuild has left."""
        with self._database.transaction() as db:
            self._set_up(db)
            for name in self.tables:
                db.execute(f"drop table if exists {self.table(name)}")
            db.execute("delete from act_fast_watermarks where projection = ?", (self.name + self._suffix,))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
