"""The relations of events, streams and targets, each able to put itself in place for a query."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

import msgspec

from act_fast._core import Columns
from act_fast._events.codec import Codec
from act_fast._events.event import Event
from act_fast._model.decoding import decoding_of, upcasts_of
from act_fast._reactions.skipped import Skipped
from act_fast._reactions.targets import Target
from act_fast._rows import Filter
from act_fast._sql.class_decoder import ClassDecoder, Told, warn_of_failures
from act_fast._sql.column_shape import Shape, shape_of
from act_fast._sql.log_scan import Decoded, LogScan, Outputs
from act_fast._sql.names import OWN_COLUMNS, column_names
from act_fast._sql.parts.builder import MakeScan
from act_fast._sql.placing import mark_of, place_settled, place_view, with_durations
from act_fast._sql.pushdown import Bounds
from act_fast._sql.session import Session
from act_fast._sql.stream_scan import StreamScan
from act_fast.stores.capabilities import ColumnReader, columns_of
from act_fast.stores.port import Store

__all__ = [
    "EventClassRelation",
    "EventsRelation",
    "Relation",
    "SkippedRelation",
    "StreamsRelation",
    "TargetsRelation",
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
        self.mark: str = mark_of(EVENTS)

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
        is_kept: whether it may be written down: not where it may change without a word in the log, as what an upcaster
            has made of personal values does when these are forgotten.
    """

    functions: Sequence[str] = ()

    def __init__(self, name: str, event: type[Event], codec: Codec) -> None:
        self.name = name
        self.called: Sequence[str] = (name.casefold(),)
        self.event = event
        self.is_kept: bool = not codec.may_open(event)
        self._codec = codec
        self.shape: Shape = shape_of(event)
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
        self.mark: str = mark_of(
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

        wanted, make = with_durations(self._durations), self.scans(session.store, told)
        if self.is_kept:
            place_settled(session, self.name, self.mark, wanted, make)
        else:
            place_view(session, self.name, wanted, make(0, session.position))

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
