"""The states and the views of one class as relations: as of the cut, and as of any moment before."""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, Final

from act_fast._checks.sql_text import quoted_name, quoted_text
from act_fast._core import __version__
from act_fast._events.sealing import wire_of
from act_fast._model.model import Model
from act_fast._sql.column_shape import shape_of
from act_fast._sql.duckdb_database import register
from act_fast._sql.names import column_names
from act_fast._sql.parts.states import FoldScan, kept_states
from act_fast._sql.placing import mark_of, place_view, tables_of, with_durations
from act_fast._sql.pushdown import Bounds
from act_fast._sql.session import Session
from act_fast._sql.state_scan import AS_OF, StateScan
from act_fast._sql.view_scan import ViewScan
from act_fast.stores.capabilities import columns_of

__all__ = ["StateRelation", "ViewRelation"]

_FOUND_STREAMS_MAX: Final = 100
_LISTED_MAX: Final = 30


class StateRelation:
    """The states of one class: as of the cut, and as of any moment before.

    Attributes:
        at_name: what the macro is called that gives the states of a moment.
    """

    _scan: type[StateScan] = StateScan
    _keeps = True
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
        self._stored = tuple(model.steps)
        # Without a word in the log, what is personal may be forgotten.
        folded = (model.definition.state, *model.definition.reducers)
        personal = any(wire_of(each) is not None for each in folded)
        opened = any(map(model.codec.may_open, model.definition.reducers))
        self._is_kept = self._keeps and not (personal or opened)

    @cached_property
    def _mark(self) -> str:
        """Of all that the states are folded by, and of what their columns are."""
        model = self._model
        return mark_of(__version__, model.stored.mark, model.unknown, self._shape.json, self._names)

    def place(self, session: Session) -> None:
        """See `Relation`."""
        # Not the session: the connection keeps what is registered with it alive, and must not be kept alive by it.
        fold = partial(self._scan, session.store, self._model, self._shape, self._names)
        if session.names(self.name.casefold()):
            self._place_now(session, fold)
        if session.names(self.at_name.casefold()):
            self._place_at(session, fold)

    def _place_now(self, session: Session, fold: FoldScan) -> None:
        wanted = self._columns(self._hidden)
        finds = self._finds(session)
        # What is archived need not be fetched where the states are kept.
        keeps = self._is_kept and not (finds and columns_of(session.store).archived_upto == 0)
        if not (keeps and self._place_kept(session, fold, wanted, begins=not finds)):
            place_view(session, self.name, wanted, fold(session.position))

    def _place_at(self, session: Session, fold: FoldScan) -> None:
        register(session.connection, f"{self.at_name} source", fold(session.position, at=True))
        moment = quoted_name(AS_OF)
        excluded = self._columns([AS_OF, *self._hidden])
        session.connection.execute(
            f"create or replace temp macro {quoted_name(self.at_name)}(moment) as table select {excluded}"
            f" from {quoted_name(f'{self.at_name} source')} where {moment} = cast(moment as varchar)"
        )

    def _finds(self, session: Session) -> bool:
        """Whether only a few streams are asked for, which are folded one by one."""
        streams = 0
        for each in session.mentions.get(self.name.casefold(), ()):
            bounds = Bounds()
            for condition in each:
                if condition.column == "stream":
                    bounds = bounds.within("stream", condition) or bounds
            streams += _FOUND_STREAMS_MAX + 1 if bounds.streams is None else len(bounds.streams)
        return 0 < streams <= _FOUND_STREAMS_MAX

    def _place_kept(self, session: Session, fold: FoldScan, wanted: str, *, begins: bool) -> bool:
        """Let the name stand for what is kept of the states, and what has changed since; False where nothing is."""
        store, position, connection = session.store, session.position, session.connection
        series = session.series(self.name, self._mark)
        # A connection has all relations, and is asked about some: to fold the others would be for nothing.
        named = begins and session.words is not None
        kept = kept_states(series, store, position, connection, self._stored, fold, named=named)
        found = None if kept is None else tables_of(session, self.name, kept.held)
        if kept is None or found is None:
            return False
        [table], still_there = found
        changed = kept.changed
        if kept.held.manifest.failed:  # why a state does not fold is said as of now
            failing = connection.execute(f"select stream from {table} where error is not null").fetchall()
            changed = [*{*changed, *(stream for (stream,) in failing)}]
        select = f"select {wanted} from {table} where {still_there}"
        if changed:
            source, streams = quoted_name(f"{self.name} source"), quoted_name(f"{self.name} changed")
            within = ", ".join(map(quoted_text, changed))
            if len(changed) > _LISTED_MAX:
                connection.execute(f"create or replace temp table {streams} as select unnest($1) as stream", [changed])
                within = f"from {streams}"
            register(connection, f"{self.name} source", fold(position, streams=changed))
            select += f" and stream not in ({within}) union all select {wanted} from {source}"
        connection.execute(f"create or replace temp view {quoted_name(self.name)} as {select}")
        return True

    def _columns(self, hidden: Sequence[str]) -> str:
        """What is shown of the scan's columns."""
        return with_durations(self._durations, hidden)


class ViewRelation(StateRelation):
    """The views of one class, with their tags in the place of streams."""

    _scan = ViewScan
    _keeps = False
    _own = ("tag", "stream", "version", "position", "error")

    def _columns(self, hidden: Sequence[str]) -> str:
        return f"stream as tag, {super()._columns(['stream', *hidden])}"
