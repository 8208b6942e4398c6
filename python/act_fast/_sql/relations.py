"""The relations that there are, each able to put itself in place for a query."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

import duckdb
import msgspec

from act_fast._checks.sql_text import quoted_name
from act_fast._core import Columns
from act_fast._events.codec import Codec
from act_fast._events.event import Event
from act_fast._model.decoding import decoding_of, upcasts_of
from act_fast._model.model import Model
from act_fast._reactions.skipped import Skipped
from act_fast._reactions.targets import Target
from act_fast._rows import Filter
from act_fast._runtime.logger import log
from act_fast._sql.class_decoder import ClassDecoder, Told, warn_of_failures
from act_fast._sql.column_shape import shape_of
from act_fast._sql.duckdb_database import attached_to, register
from act_fast._sql.log_scan import Decoded, LogScan, Outputs
from act_fast._sql.names import OWN_COLUMNS, column_names
from act_fast._sql.parts.background import settled_parts
from act_fast._sql.parts.builder import MakeScan
from act_fast._sql.parts.manifest import LockedManifest, distrust
from act_fast._sql.pushdown import Bounds
from act_fast._sql.scan import Scan
from act_fast._sql.session import Session
from act_fast._sql.state_scan import AS_OF, StateScan
from act_fast._sql.stream_scan import StreamScan
from act_fast._sql.view_scan import ViewScan
from act_fast.stores.capabilities import ColumnReader, columns_of
from act_fast.stores.port import Store

__all__ = [
    "EventClassRelation",
    "EventsRelation",
    "Relation",
    "SkippedRelation",
    "StateRelation",
    "StreamsRelation",
    "TargetsRelation",
    "ViewRelation",
]

EVENTS: Final[Outputs] = tuple(
    (name, name)
    for name in (
        "position",
        "stream",
        "version",
        "name",
        "data",
        "created",
        "correlation",
        "causation",
        "actor",
        "tags",
    )
)
_TARGETS: Final = {
    "name": "VARCHAR",
    "lane": "VARCHAR",
    "priority": "BIGINT",
    "watermark": "BIGINT",
    "mark": "BIGINT",
    "lag": "BIGINT",
    "holder": "BIGINT",
    "lease_seconds": "DOUBLE",
    "attempts": "BIGINT",
    "failing": "BIGINT",
    "blocked": "BOOLEAN",
    "error": "VARCHAR",
    "due": "TIMESTAMPTZ",
    "reactions": ["VARCHAR"],
    "known": "BOOLEAN",
}
_SKIPPED: Final = {
    "target": "VARCHAR",
    "reaction": "VARCHAR",
    "position": "BIGINT",
    "stream": "VARCHAR",
    "version": "BIGINT",
    "name": "VARCHAR",
    "reason": "VARCHAR",
    "by": "VARCHAR",
    "at": "TIMESTAMPTZ",
}
_TARGETS_PAGE: Final = 10_000


class Relation(Protocol):
    """One relation of a store or an app.

    Attributes:
        name: what it is called.
    """

    name: str

    @property
    def called(self) -> Sequence[str]:
        """What it is called in queries, in small letters."""
        ...

    @property
    def functions(self) -> Sequence[str]:
        """Those of these that are called as functions."""
        ...

    def place(self, session: Session) -> None:
        """Put it in place: what is read of it is read later, as of the session's position."""


class EventsRelation:
    """Every event, as the log has it.

    Attributes:
        outputs: the columns.
        mark: of what they are.
    """

    name = "events"
    outputs: Outputs = EVENTS
    called: Sequence[str] = ("events",)
    functions: Sequence[str] = ()

    def __init__(self) -> None:
        self.mark = mark_of(EVENTS)

    def place(self, session: Session) -> None:
        """See `Relation`."""
        place_settled(session, self.name, self.mark, "*", self.scans(session.store))

    def place_empty(self, session: Session) -> None:
        """Put it in place without any events: to see whether a question is sound."""
        place_view(session, self.name, "*", self.scans(session.store)(0, 0))

    def scans(self, store: Store, told: Told | None = None) -> MakeScan:
        """What makes scans of the events of a store."""
        reader = columns_of(store)

        def make(after: int, upto: int, told: Told | None = told) -> LogScan:
            return LogScan(reader, EVENTS, Bounds(after, upto + 1))

        return make

    def columns(self, log: ColumnReader, filter: Filter, wanted: Sequence[str] | None = None) -> Columns:
        """Those that meet the conditions, with all columns, or some."""
        return log.columns(_some(self.outputs, wanted), filter=filter)


def _some(outputs: Outputs, wanted: Sequence[str] | None) -> Outputs:
    return outputs if wanted is None else [each for each in outputs if each[0] in wanted]


class StreamsRelation:
    """The streams, each at a glance."""

    name = "streams"
    called: Sequence[str] = ("streams",)
    functions: Sequence[str] = ()

    def place(self, session: Session) -> None:
        """See `Relation`."""
        place_view(session, self.name, "*", StreamScan(columns_of(session.store), session.position))


class TargetsRelation:
    """The targets of reactions. Not as of the cut: what they have done since, they have done."""

    name = "targets"
    called: Sequence[str] = ("targets",)
    functions: Sequence[str] = ()

    def place(self, session: Session) -> None:
        """See `Relation`."""
        _fill(session, self.name, _TARGETS, session.targets())


class SkippedRelation:
    """The events that reactions have stepped over by hand. Not as of the cut either."""

    name = "skipped"
    called: Sequence[str] = ("skipped",)
    functions: Sequence[str] = ()

    def place(self, session: Session) -> None:
        """See `Relation`."""
        _fill(session, self.name, _SKIPPED, session.skipped())


def _fill(
    session: Session, name: str, columns: Mapping[str, object], rows: Iterator[Target] | Iterator[Skipped]
) -> None:
    """Put a table of rows in place."""
    structure = msgspec.json.encode([columns]).decode()
    read = f"select unnest(from_json($rows, '{structure}'), max_depth := 2)"
    session.connection.execute(f"create or replace temp table {name} as {read}", {"rows": "[]"})
    while page := list(islice(rows, _TARGETS_PAGE)):
        session.connection.execute(f"insert into {name} {read}", {"rows": msgspec.json.encode(page).decode()})


class EventClassRelation:
    """The events of one class, with a typed column for each field.

    Attributes:
        event: the class.
        outputs: the columns.
        shape: the shape of the class.
        mark: of what the columns are, and how they come to be.
    """

    functions: Sequence[str] = ()

    def __init__(self, name: str, event: type[Event], codec: Codec) -> None:
        self.name = name
        self.called: Sequence[str] = (name.casefold(),)
        self.event = event
        self._codec = codec
        self.shape = shape_of(event)
        self._stored = tuple(stored for stored, made in codec.classes.items() if made is event)
        own = event.__stored_name__
        direct = self.shape.exact and own not in event.__upcasts__
        self._direct = frozenset({own} if direct else ())
        names = column_names(self.shape.fields, OWN_COLUMNS)
        self._durations = [
            name for name, field in zip(names, self.shape.fields, strict=True) if field in self.shape.durations
        ]
        self.outputs: Outputs = (
            *((name, name) for name in OWN_COLUMNS[:-1]),
            *((name, number) for number, name in enumerate(names)),
            ("error", "error"),
        )
        self.mark = mark_of(
            self.outputs,
            self.shape.json,
            sorted(self._stored),
            sorted(self._direct),
            decoding_of(event),
            upcasts_of(event),
        )

    def place(self, session: Session) -> None:
        """See `Relation`."""
        # Not the session: the connection keeps what is registered with it alive, and must not be kept alive by it.
        warned = session.warned

        def told(view: str, failed: int) -> None:
            if view not in warned:
                warned.add(view)
                warn_of_failures(view, failed)

        place_settled(session, self.name, self.mark, with_durations(self._durations), self.scans(session.store, told))

    def place_empty(self, session: Session) -> None:
        """Put it in place without any events: to see whether a question is sound."""
        place_view(session, self.name, with_durations(self._durations), self.scans(session.store)(0, 0))

    def scans(self, store: Store, told: Told = warn_of_failures) -> MakeScan:
        """What makes scans of the class's events in a store; told hears how many could not be read."""
        reader = columns_of(store)

        def make(after: int, upto: int, told: Told = told) -> LogScan:
            decoded = Decoded(self.shape.json, self._direct, ClassDecoder(self._codec, self.name, told))
            return LogScan(reader, self.outputs, Bounds(after, upto + 1, self._stored), decoded)

        return make

    def columns(self, log: ColumnReader, filter: Filter, wanted: Sequence[str] | None = None) -> Columns:
        """Those that meet the conditions, with all columns, or some. Their names are known here."""
        decoder = ClassDecoder(self._codec, self.name, warn_of_failures)
        outputs = _some(self.outputs, wanted)
        names = filter.get("names")
        return log.columns(
            outputs,
            self.shape.json,
            set(self._direct),
            decoder,
            {**filter, "names": self._stored if names is None else names},
        )


class StateRelation:
    """The states of one class: as of the cut, and as of any moment before.

    Attributes:
        at_name: what the macro is called that gives the states of a moment.
    """

    _scan: type[StateScan] = StateScan
    _own: Sequence[str] = ("stream", "version", "position", "error")

    def __init__(self, name: str, model: Model[Any]) -> None:
        self.name = name
        self.at_name = f"{name}_at"
        self.functions: Sequence[str] = (self.at_name.casefold(),)
        self.called: Sequence[str] = (name.casefold(), *self.functions)
        self._model = model
        self._shape = shape_of(model.definition.state, checked=False)
        self._names = column_names(self._shape.fields, self._own)
        self._durations = [
            name for name, field in zip(self._names, self._shape.fields, strict=True) if field in self._shape.durations
        ]
        plan = model.definition.plan
        kept = set(plan.hidden) if plan else set()
        # What declared fields are computed from is nobody's question.
        self._hidden = [name for name, field in zip(self._names, self._shape.fields, strict=True) if field in kept]

    def place(self, session: Session) -> None:
        """See `Relation`."""
        store, position = session.store, session.position
        scan = self._scan(store, self._model, self._shape, self._names, position)
        place_view(session, self.name, self._columns(self._hidden), scan)
        register(
            session.connection,
            f"{self.at_name} source",
            self._scan(store, self._model, self._shape, self._names, position, at=True),
        )
        moment = quoted_name(AS_OF)
        excluded = self._columns([AS_OF, *self._hidden])
        session.connection.execute(
            f"create or replace temp macro {quoted_name(self.at_name)}(moment) as table select {excluded}"
            f" from {quoted_name(f'{self.at_name} source')} where {moment} = cast(moment as varchar)"
        )

    def _columns(self, hidden: Sequence[str]) -> str:
        """What is shown of the scan's columns."""
        return with_durations(self._durations, hidden)


class ViewRelation(StateRelation):
    """The views of one class, with their tags in the place of streams."""

    _scan = ViewScan
    _own = ("tag", "stream", "version", "position", "error")

    def _columns(self, hidden: Sequence[str]) -> str:
        return f"stream as tag, {super()._columns(['stream', *hidden])}"


def with_durations(names: Sequence[str], hidden: Sequence[str] = ()) -> str:
    """All columns but the hidden, those of these names as intervals: as such they would lose microseconds in a file."""
    replaced = ", ".join(f"to_microseconds({quoted_name(name)}) as {quoted_name(name)}" for name in names)
    excluded = f"* exclude ({', '.join(map(quoted_name, hidden))})" if hidden else "*"
    return f"{excluded} replace ({replaced})" if replaced else excluded


def mark_of(*what: object) -> str:
    """A mark of what a relation's columns are and how they come to be: what was written under another is not used."""
    return hashlib.sha256(msgspec.json.encode(what)).hexdigest()[:32]


def place_settled(session: Session, name: str, mark: str, wanted: str, make: MakeScan) -> None:
    """Put a relation in place: what has settled of it is read from files, the rest from the log."""
    series = session.series(name, mark)
    held = settled_parts(series, session.store, session.position, make)
    found = None if held is None else _tables(session, name, held)
    if held is None or found is None:
        place_view(session, name, wanted, make(0, session.position))
        return
    tables, still_there = found
    upto = held.manifest.upto
    if held.manifest.failed and name not in session.warned:
        session.warned.add(name)
        warn_of_failures(name, held.manifest.failed)
    within = f" and position <= {session.position}" if upto > session.position else ""
    selects = [f"select {wanted} from {table} where {still_there}{within}" for table in tables]
    rest = make(upto, session.position) if upto < session.position else None
    if rest is None and not selects:
        rest = make(session.position, session.position)
    if rest is not None and not (selects and rest.empty):
        source = f"{name} source"
        register(session.connection, source, rest)
        selects.append(f"select {wanted} from {quoted_name(source)}")
    session.connection.execute(f"create or replace temp view {quoted_name(name)} as {' union all '.join(selects)}")


def _tables(session: Session, name: str, held: LockedManifest) -> tuple[list[str], str] | None:
    """The tables that hold what has settled; None when DuckDB cannot read the files, which are made again then."""
    try:
        return attached_to(session.connection).tables(session.connection, name, held, session.store)
    except duckdb.Error as error:
        log.warning("settled events cannot be read from %s: %s", held.folder, error)
        distrust(held)
        return None


def place_view(session: Session, name: str, wanted: str, scan: Scan) -> None:
    """Let a name stand for a scan, or for what is made of its columns."""
    session.connection.execute(f"drop view if exists temp.{quoted_name(name)}")
    if wanted == "*":
        register(session.connection, name, scan)
        return
    source = f"{name} source"
    register(session.connection, source, scan)
    session.connection.execute(
        f"create or replace temp view {quoted_name(name)} as select {wanted} from {quoted_name(source)}"
    )
