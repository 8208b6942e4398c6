"""Folded states as rows of a SQL table, one for each stream."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast._events.sealing import outside, sealed_fields
from act_fast._projections.database import Address
from act_fast._projections.databases.dialect import Dialect
from act_fast._projections.databases.session import Session
from act_fast._projections.source import Source
from act_fast._projections.sql_projection import CallFailedError, SqlProjection
from act_fast._states.state import State
from act_fast.errors import DefinitionError

__all__ = ["StateProjection"]

S = TypeVar("S", bound=State)

_PLACE: Final = ("stream", "version", "position")
_ASKED_MAX: Final = 500


class Column(NamedTuple):
    """A column for a field of the state: its name, its type in SQL, and what makes a cell of a value."""

    name: str
    kind: str
    cell: Callable[[Any], Any]


class StateProjection(SqlProjection, Generic[S]):
    """The folded states of a state class as rows of a table, one for each stream.

        app = Act("bank.act", StateProjection(Account, connection, table="accounts"))

    The columns are `stream`, `version`, `position` (that of the last event folded), and one for each field: text,
    integers, floats, booleans and times as such (times in UTC), everything else as JSON. A field with the name of one
    of the first three columns gets an underscore after its name. Personal fields are null. A row may be slightly ahead
    of the watermark, never behind it.

    After a change to what the states are folded by (fields, reducers, upcasters), the rows are rebuilt when the next
    event comes; `rebuild` does it at once, and beside the live rows. If two releases fold differently, each rebuilds
    the rows its own way, so let only one of them work on the projection's lane.

    Args:
        state: the state class; the projection adds it to the app if the app does not have it yet.
        connection: as for `SqlProjection`.
        table: the table's name.
        name: what its progress is stored under; by default, the table's name.
    """

    def __init__(self, state: type[S], connection: Address, *, table: str, name: str | None = None) -> None:
        if not isinstance(state, type) or not issubclass(state, State) or state is State:
            raise DefinitionError(f"a StateProjection is of a state class, not of {state!r}")
        self.state = state
        self.tables: Sequence[str] = (table,)
        super().__init__(connection, name=table if name is None else name)

    @property
    def components(self) -> Sequence[type[State]]:
        """The state class."""
        return (self.state,)

    @property
    def events(self) -> Sequence[type[Event]]:
        """The events of the state class."""
        return tuple(self.state.__definition__.reducers)

    def setup(self, db: Any) -> None:
        """Make the table if it is not there."""
        at = self._database.session(db)
        if at.dialect.there(at, [self._own_tables[self.tables[0]]]):
            return  # whoever may only write rows may not ask for it again
        columns = ", ".join(
            f"{at.dialect.quoted(each.name)} {each.kind}" for each in _columns(self._fields, at.dialect)
        )
        at.run(
            f"create table if not exists {self._table} (stream {at.dialect.key} primary key, version bigint not null,"
            f" {at.dialect.quoted('position')} bigint not null{', ' if columns else ''}{columns})"
        )

    @property
    def _table(self) -> str:
        return self.table(self.tables[0])

    def _handler(self) -> Callable[..., object]:
        return self._handle

    def _code(self, app: Source) -> str:
        return app._folding_mark(self.state)

    def _project(self, events: Sequence[Committed[Any]], db: Session, app: Source) -> None:
        """Write the latest state of each stream that is not that far yet."""
        try:
            self._write_rows(events, db, app)
        except Exception as error:
            raise CallFailedError(0, len(events), error) from error

    def _write_rows(self, events: Sequence[Committed[Any]], db: Session, app: Source) -> None:
        versions = {event.stream: event.version for event in events}
        written = self._versions(db, list(versions))
        behind = [stream for stream, version in versions.items() if written.get(stream, 0) < version]
        columns = _columns(self._fields, db.dialect)
        rows = []
        for stream in behind:
            found = app.load(self.state, stream)
            values = _values(found.state)
            cells = [each.cell(values(field)) for each, field in zip(columns, self._fields, strict=True)]
            rows.append((stream, found.version, found.position, *cells))
        if rows:
            names = [db.dialect.quoted(name) for name in (*_PLACE, *(each.name for each in columns))]
            db.run_each(db.dialect.upsert(self._table, names[0], names[1:]), rows)

    def _versions(self, db: Session, streams: list[str]) -> dict[str, int]:
        """How far the rows of streams are."""
        found: dict[str, int] = {}
        for start in range(0, len(streams), _ASKED_MAX):
            part = streams[start : start + _ASKED_MAX]
            marks = ", ".join("?" * len(part))
            asked = f"select {db.dialect.text_of('stream')}, version + 0 from {self._table} where stream in ({marks})"
            for stream, version in db.rows(asked, part):
                found[stream.decode() if isinstance(stream, bytes) else stream] = version
        return found

    @property
    def _fields(self) -> list[msgspec.structs.FieldInfo]:
        """The fields of the state, without those that only serve declared ones."""
        plan = self.state.__definition__.plan
        hidden = plan.hidden if plan else ()
        return [each for each in msgspec.structs.fields(self.state) if each.name not in hidden]


def _values(state: Any) -> Callable[[msgspec.structs.FieldInfo], Any]:
    """The values of a state's fields; of those with something personal in them only what is not."""
    shown = outside(state)
    if shown is state:
        return lambda field: getattr(state, field.name)
    blank = msgspec.json.decode(shown)
    sealed = sealed_fields(type(state))
    return lambda field: blank[field.encode_name] if field.name in sealed else getattr(state, field.name)


def _columns(fields: Sequence[msgspec.structs.FieldInfo], dialect: Dialect) -> list[Column]:
    return [_column(each.name, each.type, dialect) for each in fields]


def _column(name: str, hint: Any, dialect: Dialect) -> Column:
    found = inspect.type_info(hint)
    kinds = (
        [each for each in found.types if not isinstance(each, inspect.NoneType)]
        if (isinstance(found, inspect.UnionType))
        else [found]
    )
    kind, cell = _kind(kinds[0], dialect) if len(kinds) == 1 else (dialect.json, _json)
    return Column(name + "_" if name in _PLACE else name, kind, lambda value: None if value is None else cell(value))


def _kind(found: inspect.Type, dialect: Dialect) -> tuple[str, Callable[[Any], Any]]:
    match found:
        case inspect.StrType():
            return dialect.text, _same
        case inspect.IntType():
            return "bigint", _same
        case inspect.FloatType():
            return dialect.number, _same
        case inspect.BoolType():
            return "boolean", _same
        case inspect.DateTimeType():
            return dialect.time, dialect.cell_of_time
        case _:
            return dialect.json, _json


def _same(value: Any) -> Any:
    return value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
