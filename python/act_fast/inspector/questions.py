"""Questions in SQL: one at a time, about one position, within bounds of time and rows."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from act_fast._app.act import Act
from act_fast._checks.extras import has
from act_fast._checks.sql_text import quoted_name
from act_fast._reactions.skipped import Skipped, skipped
from act_fast._reactions.targets import Target, targets
from act_fast.errors import ValidationError
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import ReactionPort

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from act_fast._sql.library import Library
    from act_fast._sql.relations import Relation as Placed

__all__ = ["Asked", "Questions", "Relation", "Table"]

ROWS_MAX: Final = 500
LETTERS_MAX: Final = 1_000_000
WAITING_MAX: Final = 4
SECONDS_MAX: Final = 20.0
_HISTORY: Final = 50


class Asked(msgspec.Struct, frozen=True):
    """A question that was asked: when, how long it took, and how many rows were shown."""

    query: str
    at: datetime
    seconds: float
    rows: int


class Relation(msgspec.Struct, frozen=True):
    """A relation, and its columns: each with its name and type."""

    name: str
    columns: list[tuple[str, str]]


class Table(msgspec.Struct, frozen=True):
    """An answer: its columns, their types, the first rows, and whether there are more."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]
    more: bool
    position: int
    seconds: float


class Questions:
    """Answers questions about an app or a store. One is asked at a time; those that come meanwhile wait.

    Args:
        store: where the events are.
        app: what the relations of events and states come from, where there is one.
        reactions: what the store keeps of reactions, if anything.
    """

    def __init__(self, store: Store, app: Act | None, reactions: Callable[[], ReactionPort | None]) -> None:
        self._store = store
        self._app = app
        self._reactions = reactions
        self._lock = threading.Lock()
        self.waiting: int = 0
        self._relations: list[Relation] | None = None
        self.history: deque[Asked] = deque(maxlen=_HISTORY)

    @property
    def installed(self) -> bool:
        """Whether what SQL needs is installed."""
        return has("duckdb") and has("fsspec")

    def relations(self) -> list[Relation]:
        """The relations, and their columns."""
        with self._lock:
            if self._relations is None:
                self._relations = _described(self._library())
            return self._relations

    def ask(self, query: str, at: int | datetime | None) -> Table:
        """The first rows of an answer.

        Raises:
            ValidationError: it is not a question, cannot be answered, or takes too long.
        """
        began = time.monotonic()
        with self.answer(query, at) as (answer, position):
            rows, more = _first(answer.iter_rows())
            columns, types = [*answer.columns], [*map(str, answer.types)]
        seconds = time.monotonic() - began
        self._note(Asked(query, datetime.now(UTC), seconds, len(rows)))
        return Table(columns, types, rows, more, position, seconds)

    @contextmanager
    def answer(self, query: str, at: int | datetime | None) -> Iterator[tuple["DuckDBPyRelation", int]]:
        """An answer as it can be read, and the position that it is as of.

        Raises:
            ValidationError: it is not a question, cannot be answered, or takes too long.
        """
        import duckdb

        from act_fast._sql.duckdb_database import new_session

        with self.turn():
            library = self._library()
            session = library.session(new_session(library), at)
            stopped = threading.Event()

            def stop() -> None:
                stopped.set()
                session.connection.interrupt()

            timer = threading.Timer(SECONDS_MAX, stop)
            timer.start()
            try:
                yield library.ask(session, query, {}), session.position
            except (duckdb.Error, ValidationError) as error:
                if stopped.is_set():
                    raise ValidationError(
                        f"the query was stopped after {SECONDS_MAX:.0f} seconds; ask about less, or use act-fast sql"
                    ) from None
                if isinstance(error, ValidationError):
                    raise
                raise ValidationError(f"the query cannot be answered: {error}") from None
            finally:
                timer.cancel()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other question is answered, unless too many wait already: each that waits takes a thread."""
        if self.waiting > WAITING_MAX:
            raise ValidationError("other questions are being answered; ask again in a moment")
        self.waiting += 1
        try:
            with self._lock:
                yield
        finally:
            self.waiting -= 1

    def _note(self, asked: Asked) -> None:
        """Keep a question in the history, once."""
        with self._lock:
            earlier = [each for each in self.history if each.query != asked.query]
            self.history.clear()
            self.history.extend([asked, *earlier][:_HISTORY])

    def _library(self) -> "Library":
        """The relations. Those of a store alone do not begin to keep anything of reactions."""
        if self._app is not None:
            return self._app._library
        from act_fast._app.local_copy import at_hand
        from act_fast._sql.library import Library
        from act_fast._sql.relations import EventsRelation, SkippedRelation, StreamsRelation, TargetsRelation

        relations: list[Placed] = [EventsRelation(), StreamsRelation(), TargetsRelation(), SkippedRelation()]
        return Library(self._store, relations, self._targets, self._skipped, at_hand)

    def _targets(self) -> Iterator[Target]:
        port = self._reactions()
        return iter(()) if port is None else targets(port)

    def _skipped(self) -> Iterator[Skipped]:
        port = self._reactions()
        return iter(()) if port is None else skipped(port, self._store)


def _first(found: Iterable[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows that a page shows, and whether there are more."""
    rows: list[tuple[Any, ...]] = []
    letters = 0
    for row in found:
        letters += sum(len(each) if isinstance(each, str | bytes) else len(str(each)) for each in row)
        if len(rows) == ROWS_MAX or (letters > LETTERS_MAX and rows):
            return rows, True
        rows.append(row)
    return rows, False


def _described(library: "Library") -> list[Relation]:
    """The columns of each relation. Targets are left out for that, since there may be a million."""
    from act_fast._sql.duckdb_database import new_session
    from act_fast._sql.session import Session

    found = library.session(new_session(library))
    session = Session(found.connection, found.store, found.position, lambda: iter(()), lambda: iter(()))
    library.place(session)
    return [
        Relation(
            name,
            session.connection.execute(
                f"select column_name, column_type from (describe {quoted_name(name)})"
            ).fetchall(),
        )
        for name in library.names
    ]
