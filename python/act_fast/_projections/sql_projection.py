"""Projections into SQL tables, with an exactly-once effect: the watermark is in the same transaction as the rows."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any, ClassVar, Final, NamedTuple, Self, TypeVar

import msgspec

from act_fast._checks.plain_code import is_failure
from act_fast._events.committed import Committed
from act_fast._events.context import Repeated, ambient
from act_fast._events.handling import handling
from act_fast._projections import watermark
from act_fast._projections.database import Address, Database
from act_fast._projections.databases.errors import is_busy, is_lost, is_of_database
from act_fast._projections.databases.session import Session, TransactionEndedError
from act_fast._projections.fit import RefusedError, check_log, check_said, misfit
from act_fast._projections.methods import runs
from act_fast._projections.origin import Origin, UnreadableError, mark_of
from act_fast._projections.projection import Projection
from act_fast._projections.repeating import Repeating
from act_fast._projections.source import Replaying, Source
from act_fast._projections.watermark import Watermark
from act_fast._reactions.partial_batch import Partly
from act_fast._reactions.reaction import Reaction
from act_fast._runtime.backoff import Backoff
from act_fast._runtime.logger import log
from act_fast.errors import DefinitionError, NonRetryableError, StoreClosedError

__all__ = ["SqlProjection"]

T = TypeVar("T")

_FRESH: Final = "__fresh"
_ROUNDS_MAX: Final = 20
_LOST_MAX: Final = 10
_SWAPPING: Final = "its rows take the place of others"
_BUSY_BACKOFF: Final = Backoff(first=0.01, factor=2.0, longest=5.0)


class CallFailedError(Exception):
    """A method has failed, which was handling the events from one index to another."""

    def __init__(self, start: int, end: int, error: BaseException) -> None:
        super().__init__(start, end, error)
        self.start = start
        self.end = end
        self.error = error


class BehindError(Exception):
    """There are events before those at hand that are not in the database."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class Failure(NamedTuple):
    """What was undone: the events from one index to another are to blame, or one of them is.

    Attributes:
        start: the first of them.
        end: behind the last of them.
        error: what was raised.
        busy: whether it is only that somebody else is in the way.
        final: whether there is nothing to be found by trying fewer events.
    """

    start: int
    end: int
    error: BaseException
    busy: bool = False
    final: bool = False


class Run:
    """One delivery, or one rebuild.

    Attributes:
        app: whose events they are.
        origin: where they come from.
        code: a mark of the code that makes the rows; empty where rows of other code may stay.
        begins_at: the position of the first event that is delivered; None when that says nothing, or nothing any more.
        repeats: whether that is because of a `reset`.
        filling: whether events are taken from the log, all there are.
        done: the position up to which events were committed by this run.
        no_longer: the names of events that only another release takes, and of which some would be left out now.
    """

    def __init__(self, app: Source, projection: "SqlProjection", begins_at: int | None, repeats: bool = False) -> None:
        self.app = app
        self.origin = Origin(app._program, projection)
        self.code = projection._code(app)
        self.delivered = begins_at is not None
        self.begins_at = begins_at
        self.repeats = repeats
        self.filling = False
        self.done: int | None = None
        self.no_longer: frozenset[str] = frozenset()


class SqlProjection(Projection):
    """A projection into tables of a SQL database. Each event counts exactly once, whatever crashes in between.

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

    Its methods also take a cursor, or a connection of SQLAlchemy. They must leave its transaction alone: it covers all
    events that were fetched together, and also writes the watermark, a row of the table `act_fast_watermarks
    (projection, position)`. Events at or below the watermark are left out. Events that the database has missed, because
    it was restored from a backup or created again, are first taken from the log.

    A row of `act_fast_projections` also records which store and log the rows come from, which events, and which tables.
    Rows of another log are never added to: the projection is blocked until you rebuild it. If tables were dropped,
    emptied or added, if the projection takes a new event class, or after a `reset`, the rows are rebuilt from the first
    event. If the database is locked, or its server is down, the projection waits, however long that takes.

    Args:
        connection: of `sqlite3` (created with `check_same_thread=False`), DuckDB, psycopg, or SQLAlchemy to PostgreSQL,
            MySQL, MariaDB or SQLite; an engine of SQLAlchemy; or a function that creates one of these when needed. Only
            an engine and a function can connect again after a server was restarted. Nothing else should have a
            transaction open on a connection: it would be committed with the next events.
        name: what its progress is stored under; by default, the class's name.

    Attributes:
        tables: the names of its tables, which `rebuild` fills again.
    """

    tables: Sequence[str] = ()
    _extra: ClassVar[int] = 1

    def __init__(self, connection: Address, *, name: str | None = None) -> None:
        if name is not None:
            self.name = name
        self._suffix = ""
        self._is_set_up = False
        self._trusted: tuple[str, Watermark] | None = None
        self._busy = 0
        self._database = Database(self._place, connection)

    @property
    def reactions(self) -> Sequence[Reaction]:
        """What apps run: one reaction.

        Raises:
            DefinitionError: its methods or its `tables` are not valid, or its connection belongs to another process.
        """
        self._database.check_own()
        found = super().reactions
        self._check_tables()
        return found

    def setup(self, db: Any) -> None:
        """Create the tables that are missing, named by `table()`. Called before anything else, in the transaction."""

    def indexes(self, db: Any) -> None:
        """Create the indexes that are missing. Called after `setup`, and at the end of a rebuild."""

    def table(self, name: str) -> str:
        """The name to use for a table in SQL, in quotes; during a rebuild it is that of another table beside it."""
        if name not in self.tables:
            raise DefinitionError(f"{self._place} has no table {name!r}; name it in tables = (...)")
        return self._database.quoted(name + self._suffix)

    def _check_tables(self) -> None:
        """Refuse tables that are not named: a rebuild would add to the live ones instead of filling fresh ones."""
        if isinstance(self.tables, str):
            raise DefinitionError(
                f"{self._place}: tables= is one text; write `tables = ({self.tables!r},)`, with a comma"
            )
        named = "tables" in vars(self) or any("tables" in vars(each) for each in _own_classes(type(self)))
        if not named:
            raise DefinitionError(
                f"{self._place} does not name its tables, so a rebuild could not fill them again; write"
                ' `tables = ("balances",)` in the class, and name them by self.table("balances") in SQL; or, if it has'
                " none of its own, `tables = ()`"
            )

    def close(self) -> None:
        """Close the connection if it was created by a function."""
        self._database.close()

    def fresh(self) -> Self:
        """A copy that writes to tables of its own, beside those of this one."""
        made = copy.copy(self)
        made._suffix = _FRESH
        made._is_set_up = False
        made._trusted = None
        made.__dict__.pop("_methods", None)  # they are bound to this one
        made.__dict__.pop("_reactions", None)
        return made

    def take_over(self, fresh: Any) -> None:
        """Replace these tables with the tables of a copy, in one transaction."""
        with self._database.transaction(self._key, fresh._key) as db:
            _, said = watermark.read(db, fresh._key)
            self._swap(fresh, db, said or Watermark())

    def _takes_lists(self) -> bool:
        return True

    def _handler(self) -> Callable[..., object]:
        for method in self._methods.values():
            if method.asynchronous:
                raise DefinitionError(f"{method.place} is `async def`; databases are not, so write it as `def`")
        return self._handle

    def _handle(self, events: list[Committed[Any]], app: Source) -> None:
        """What the reaction calls.

        Raises:
            Partly: the first of them are in the database for good, and the next one is not.
        """
        here = handling()
        repeats = here is not None and here.comes_again(events[0].name, events[0].position)
        run = Run(app, self, events[0].position, repeats)
        while (after := self._apply_or_behind(events, run)) is not None:
            with suppress(BehindError):  # it was changed meanwhile, so that this has to be looked at again
                self._fill_gap(after, events, run)

    _handle.runs_apart = True  # type: ignore[attr-defined]  # a transaction that is cut in two keeps its lock

    def _apply_or_behind(self, events: list[Committed[Any]], run: Run) -> int | None:
        """Handle events; the position that the database has come to when others are to be handled first, else None."""
        try:
            failure = self._apply(events, run)
        except BehindError as behind:
            return behind.position
        if failure is not None:
            raise self._told(failure, run)
        return None

    def _fill_gap(self, after: int, events: list[Committed[Any]], run: Run) -> None:
        """Take from the log what is not in this database: what comes before some events, and between them."""
        before = ambient.set(None)  # what is being handled is not what these events are about
        repeating = Repeating(self.name, events[0].position - 1)
        delivered = frozenset(event.position for event in events)
        run.filling = True
        try:
            for page in run.origin.pages(after, run.origin.last_missing(events, after), delivered):
                ambient.set(Repeated(handled=page[0], handling=repeating))
                failure = self._apply(page, run)
                if failure is not None:
                    position = page[failure.start].position
                    raise self._told(failure, run, None if position in delivered else position)
        except UnreadableError as unreadable:
            raise Partly(None, unreadable.error, alone=True, missing=unreadable.position) from unreadable
        finally:
            run.filling = False
            ambient.reset(before)

    def _apply(self, events: list[Committed[Any]], run: Run) -> Failure | None:
        """Handle events in one transaction; if that fails, as many as do not, and the one that does is found."""
        while events:
            failure = self._attempt(events, run)
            while failure is not None and failure.start and not failure.final:
                earlier = self._again(events[: failure.start], run)
                if earlier is None:
                    break
                failure = earlier
            if failure is None or failure.final or failure.end - failure.start == 1:
                return failure
            for at in range(failure.start, failure.end):  # they were handled together
                alone = self._again([events[at]], run)
                if alone is not None:
                    return alone._replace(start=at, end=at + 1)
            events = events[failure.end :]
        return None

    def _again(self, events: list[Committed[Any]], run: Run) -> Failure | None:
        """Try events once more, read from the log again: what has failed may have changed what it was given."""
        return self._attempt(run.origin.again(events), run)

    def _attempt(self, events: list[Committed[Any]], run: Run) -> Failure | None:
        """Handle events in one transaction, or none of them.

        Raises:
            BehindError: there are others to be handled first.
        """
        known = 0
        was_set_up = self._is_set_up
        try:
            with self._database.transaction(self._key) as db:
                said = self._look(db, run)
                if self._leaves_out(said, events, run):
                    said = self._look(db, run)
                known = sum(event.position <= said.position for event in events)
                rest = events[known:]
                if rest and self._is_behind(said, rest, run):
                    raise BehindError(said.position)
                if rest:
                    self._begin(db, said, run)
                    self._project(rest, db, run.app)
                after = self._advanced(db, said, rest, run)
                if after != said:
                    watermark.write(db, self._key, after)
        except BehindError:
            raise
        except BaseException as error:
            self._is_set_up = False
            self._trusted = None
            if not is_failure(error):
                raise
            if was_set_up and is_of_database(error) and not is_busy(error):
                return self._again(events, run)  # a table may have gone that was there before
            return self._failure(error, known, len(events), run)
        self._is_set_up = True
        self._trusted = (run.origin.store, after)
        self._busy = 0
        if events:
            run.begins_at = None
            run.done = max(run.done or 0, events[-1].position)
        return None

    def _code(self, app: Source) -> str:
        """A mark of the code that makes the rows, where those of other code have to be made again."""
        return ""

    def _is_behind(self, said: Watermark, events: Sequence[Committed[Any]], run: Run) -> bool:
        """Whether other events come before those at hand, or between them.

        Those between were handled before, but perhaps not in this database as it is now: by another release, with fewer
        events or from another source, or before the database was restored.
        """
        if run.delivered and not run.filling and events[-1].position - events[0].position >= len(events):
            return run.origin.last_missing(events, said.position) > 0
        return run.origin.any_between(run.origin.names, said.position, events[0].position)

    def _begin(self, db: Session, said: Watermark, run: Run) -> None:
        """Say that the rows are not to be trusted, which only comes true if a method commits halfway through."""
        begun = msgspec.structs.replace(said, store=said.store or run.origin.store, problem=self._spoilt)
        watermark.write(db, self._key, begun)

    def _failure(self, error: BaseException, known: int, count: int, run: Run) -> Failure:
        """What an error means for events, of which some were known."""
        if isinstance(error, CallFailedError):
            start, end, error = known + error.start, known + error.end, error.error
        else:
            start, end = 0, count
        if is_lost(error) or (is_of_database(error) and not is_busy(error)):
            self._database.reconnect()
        if isinstance(error, TransactionEndedError):
            self._distrust(run)
            return Failure(start, end, NonRetryableError(self._spoilt), final=True)
        if is_busy(error):
            return Failure(start, end, error, busy=True, final=True)
        return Failure(start, end, error, final=isinstance(error, RefusedError | StoreClosedError))

    def _told(self, failure: Failure, run: Run, missing: int | None = None) -> Partly:
        """A failure as workers are told of it: with what the database itself says is done."""
        if not failure.busy:
            return Partly(None if failure.final else self._done(run), failure.error, alone=True, missing=missing)
        self._busy += 1
        return Partly(run.done, failure.error, busy=self._busy, missing=missing)

    def _done(self, run: Run) -> int | None:
        """The position that the database has come to; None when that is not known, or it says nothing of this log."""
        try:
            with self._database.transaction(self._key) as db:
                position, said = watermark.read(db, self._key)
                check_log(self.name, position, said, run.origin)
                tables = watermark.filled_tables(db, self._own_tables)
                check_said(self.name, position, said, tables)
                return position if self._misfit(position, said, tables, run) is None else None
        except Exception as error:
            log.debug("how far the database of %r has come is not known: %s", self.name, error)
            return None

    def _look(self, db: Session, run: Run) -> Watermark:
        """What the database says of this projection; if that does not fit, the tables are made again, empty.

        Raises:
            RefusedError: its rows are of another log.
        """
        if not self._is_set_up:
            self._check_names(db)
            watermark.make_tables(db)
            db.begin_again()
        if db.dialect.commits_tables and not self._suffix:
            self._end_swap(db)
        position, said = watermark.read(db, self._key)
        known = self._trusted[1].tables if self._trusted is not None else None
        tables = watermark.filled_tables(db, self._own_tables, known)
        why = self._why_not(position, said, tables, run)
        rights: Sequence[str] = ()
        if why is not None:
            if not self._suffix:
                log.warning("projection %r is rebuilt from the first event: %s", self.name, why)
            rights = db.dialect.rights(db, [*self._own_tables.values()])
            if db.dialect.commits_tables:  # so the tables are empty for all before the new position is said
                watermark.say_nothing(db, self._key)
            self._drop_tables(db)
        if why is not None or not self._is_set_up:
            self.setup(db.given)
            if not self._suffix:
                self.indexes(db.given)
            for each in rights:
                db.run(each)
            db.begin_again()
        if why is not None or position is None:
            return Watermark(store=None)
        return Watermark(position) if said is None else msgspec.structs.replace(said, position=position)

    def _leaves_out(self, said: Watermark, events: Sequence[Committed[Any]], run: Run) -> bool:
        """Whether going on to these events leaves out some that another release would apply, as it did those before."""
        others = said.events - run.origin.names
        if not others or not events or not run.origin.any_between(others, said.position, events[-1].position + 1):
            return False
        run.no_longer |= others
        return True

    def _why_not(
        self, position: int | None, said: Watermark | None, tables: dict[str, bool | None], run: Run
    ) -> str | None:
        """Why the tables have to be made again; None when they fit."""
        try:
            check_said(self.name, position, said, tables)
            if self._trusted is None or said is None or self._trusted != (run.origin.store, said):
                check_log(self.name, position, said, run.origin)
        except RefusedError as refused:
            if self._suffix:
                return str(refused)  # what is left of an older rebuild
            if not self._begins_again(said, run):
                raise
            return "it was reset"
        return self._misfit(position, said, tables, run)

    def _misfit(
        self, position: int | None, said: Watermark | None, tables: Mapping[str, bool | None], run: Run
    ) -> str | None:
        if run.repeats and run.begins_at is not None and run.begins_at <= (position or 0):
            return "it was reset"
        if said is not None and said.position and (left_out := said.events & run.no_longer):
            return f"it takes {', '.join(sorted(left_out))} no longer"
        return misfit(position, said, tables, run.origin, run.code, run.begins_at)

    def _begins_again(self, said: Watermark | None, run: Run) -> bool:
        """Whether the first event is delivered once more, to a database of this very store."""
        if said is None or run.begins_at is None or said.store != run.origin.store:
            return False
        return run.begins_at <= (said.begun_at or run.origin.first())

    def _advanced(self, db: Session, said: Watermark, events: Sequence[Committed[Any]], run: Run) -> Watermark:
        """What is to be said once some more events are in the tables."""
        origin = run.origin
        position = events[-1].position if events else said.position
        begun_at = said.begun_at
        if not said.position and events:
            begun_at = events[0].position
        elif not begun_at and run.delivered:
            begun_at = origin.first()
        if said.store is not None and not events and begun_at == said.begun_at:
            return said
        return Watermark(
            position=position,
            store=origin.store,
            code=run.code,
            last_event=mark_of(events[-1]) if events else said.last_event or origin.mark_at(position),
            events=origin.names | said.events,  # there are none of the others up to here
            source=origin.source,
            tables=watermark.filled_tables(db, self._own_tables),
            begun_at=begun_at,
        )

    def _project(self, events: Sequence[Committed[Any]], db: Session, app: Source) -> None:
        """Let the methods handle events.

        Raises:
            CallFailedError: one of them has failed.
        """
        for method, start, end in runs(self._methods, events):
            try:
                method.check(method.call(list(events[start:end]) if method.batch else events[start], db.given))
            except BaseException as error:
                if not is_failure(error):
                    raise
                raise CallFailedError(start, end, error) from error

    @property
    def _spoilt(self) -> str:
        return (
            f"{self._place} has ended the transaction that it was called in; it must neither commit, nor roll back, nor"
            " use executescript(), which commits. Its rows may count events twice: fix it, then rebuild it"
        )

    @property
    def _key(self) -> str:
        return self.name + self._suffix

    @property
    def _own_tables(self) -> dict[str, str]:
        """What the tables are called in the database, by their names."""
        return {name: name + self._suffix for name in self.tables}

    def _check_names(self, db: Session) -> None:
        """Refuse names of tables that a database would cut off: another one would be dropped for a rebuild."""
        longest = db.dialect.name_bytes_max
        for name in self.tables:
            if longest is not None and len((name + _FRESH).encode()) > longest:
                raise NonRetryableError(
                    f"{self._place}: the name of table {name!r} has more than {longest - len(_FRESH)} bytes; a rebuild"
                    f" adds {_FRESH!r} to it, and the database takes {longest}"
                )

    def _drop_tables(self, db: Session) -> None:
        db.dialect.drop(db, [*self._own_tables.values()])
        db.begin_again()

    def _distrust(self, run: Run) -> None:
        """Keep in the database that its rows are not to be gone on with."""
        try:
            with self._database.transaction(self._key) as db:
                watermark.make_tables(db)
                position, said = watermark.read(db, self._key)
                self._begin(db, msgspec.structs.replace(said or Watermark(), position=position or 0), run)
        except Exception as error:
            log.warning("the database of projection %r cannot be marked as wrong: %s", self.name, error)

    def _rebuild(self, rebuilding: Replaying, app: Source) -> None:
        """Replay into tables beside the live ones, which go on meanwhile, and swap them in one transaction."""
        run = Run(app, self, None)
        fresh = self.fresh()
        _patiently(lambda: self._begin_rebuild(fresh))
        if not rebuilding.resume:
            _patiently(fresh._drop)
        rebuilding.begin_after(_patiently(lambda: fresh._made(run)))
        for _ in range(_ROUNDS_MAX):  # until nothing has come meanwhile; what little comes later waits for the swap
            head = rebuilding.head
            rebuilding.replay(lambda events: fresh._replayed(events, run), head)
            if head == rebuilding.head:
                break
        _patiently(lambda: self._take_place(fresh, rebuilding, run))
        rebuilding.unblock()

    def _begin_rebuild(self, fresh: Self) -> None:
        """Bring an earlier one to its end that was interrupted while it swapped tables."""
        with self._database.transaction(self._key, fresh._key) as db:
            if db.dialect.commits_tables:
                self._check_names(db)
                watermark.make_tables(db)
                db.begin_again()
                self._end_swap(db, alone=True)

    def _made(self, run: Run) -> int:
        """Make the tables, or find what an interrupted rebuild has left; the position that they have come to."""
        with self._database.transaction(self._key) as db:
            said = self._look(db, run)
            made = watermark.filled_tables(db, self._own_tables)
            missing = next((name for name, filled in made.items() if filled is None), None)
            if missing is not None:
                raise DefinitionError(
                    f"{self._place}.setup has not made the table that a rebuild fills beside {missing!r}; call it"
                    f" self.table({missing!r}) wherever the projection names it in SQL"
                )
            watermark.write(db, self._key, self._advanced(db, said, (), run))
        self._is_set_up = True
        return said.position

    def _replayed(self, events: list[Committed[Any]], run: Run) -> None:
        """Handle events of a rebuild."""
        tries = 0
        while True:
            try:
                failure = self._apply(events, run)
            except BehindError as behind:  # another rebuild has finished, or was begun again, in the same tables
                for page in run.origin.pages(behind.position, events[0].position - 1):
                    self._replayed(page, run)
                continue
            if failure is None:
                return
            if not failure.busy:
                raise failure.error
            tries += 1
            time.sleep(_BUSY_BACKOFF.wait(tries))

    def _take_place(self, fresh: Self, rebuilding: Replaying, run: Run) -> None:
        """Bring a copy to where this one is, and put its tables in the place of these."""
        with self._database.transaction(self._key, fresh._key) as db:
            if db.dialect.commits_tables:
                self._end_swap(db, alone=True)
            position, said = watermark.read(db, self._key)
            copied_to, copied = watermark.read(db, fresh._key)
            if copied_to is None or copied is None:
                return  # somebody else has rebuilt it at the same time, and was faster
            rebuilding.begin_after(copied_to)
            if position is not None and self._is_of_log(position, said, run):
                copied = self._catch_up(fresh, copied, rebuilding, position, db, run)
            first = run.origin.first()
            begun_at = first if first and rebuilding.watermark() >= first else 0
            self._swap(fresh, db, msgspec.structs.replace(copied, begun_at=begun_at))
        self._is_set_up = False
        self._trusted = None

    def _catch_up(
        self, fresh: Self, copied: Watermark, rebuilding: Replaying, position: int, db: Session, run: Run
    ) -> Watermark:
        """Let a copy handle what this one has handled since, in the transaction that will swap them."""

        def handle(events: list[Committed[Any]]) -> None:
            nonlocal copied
            try:
                fresh._project(events, db, run.app)
            except CallFailedError as failed:
                raise failed.error from None
            copied = fresh._advanced(db, copied, events, run)

        rebuilding.replay(handle, position)
        return copied

    def _is_of_log(self, position: int, said: Watermark | None, run: Run) -> bool:
        try:
            check_log(self.name, position, said and msgspec.structs.replace(said, problem=""), run.origin)
        except RefusedError:
            return False
        return True

    def _swap(self, fresh: Self, db: Session, said: Watermark) -> None:
        said = msgspec.structs.replace(said, problem="")
        if db.dialect.commits_tables:  # so one has to be able to tell later whether this was the last that was done
            watermark.write(db, fresh._key, msgspec.structs.replace(said, problem=_SWAPPING))
        db.dialect.replace(db, dict(zip(fresh._own_tables.values(), self._own_tables.values(), strict=True)))
        db.begin_again()
        self._swapped(fresh, db, said)

    def _swapped(self, fresh: Self, db: Session, said: Watermark) -> None:
        """Say of these tables what was said of a copy's, which are in their place."""
        watermark.remove(db, fresh._key)
        self.indexes(db.given)
        watermark.write(
            db, self._key, msgspec.structs.replace(said, tables=watermark.filled_tables(db, self._own_tables))
        )

    def _end_swap(self, db: Session, *, alone: bool = False) -> None:
        """Go on where a swap was interrupted that could not be one transaction, or take it back.

        Args:
            db: the transaction.
            alone: whether nobody else fills a copy meanwhile.
        """
        fresh = self.fresh()
        copied_to, said = watermark.read(db, fresh._key)
        if copied_to is None or said is None or said.problem != _SWAPPING:
            return
        settled = msgspec.structs.replace(said, problem="")
        if not db.dialect.there(db, [*fresh._own_tables.values()]):
            db.dialect.clear(db, [*self._own_tables.values()])
            db.begin_again()
            self._swapped(fresh, db, settled)
            self._is_set_up = False
        elif alone:
            watermark.write(db, fresh._key, settled)

    def _drop(self) -> None:
        """Throw away what an interrupted rebuild has left."""
        with self._database.transaction(self._key) as db:
            watermark.make_tables(db)
            db.begin_again()
            watermark.remove(db, self._key)
            self._drop_tables(db)


def _own_classes(cls: type) -> Iterator[type]:
    """A class and those that it derives from, up to the one that all SQL projections share."""
    return takewhile(lambda each: each is not SqlProjection, cls.__mro__)


def _patiently(do: Callable[[], T]) -> T:
    """Do something in a database, and wait for as long as somebody else is in the way."""
    tries = lost = 0
    while True:
        try:
            return do()
        except Exception as error:
            lost += is_lost(error)
            if not is_busy(error) or lost > _LOST_MAX:
                raise
        tries += 1
        time.sleep(_BUSY_BACKOFF.wait(tries))
