"""SQL over the log: which relations there are for an app or a store, and questions about them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import duckdb

from act_fast._events.event import Event
from act_fast._model.registry import Registry
from act_fast._reactions.catalog import Catalog, codec_of
from act_fast._reactions.skipped import Skipped, skipped
from act_fast._reactions.targets import Target, targets
from act_fast._runtime.interruptible import interruptible
from act_fast._runtime.logger import log
from act_fast._sql.continuous.relation import ContinuousRelation, KeptQuestion
from act_fast._sql.duckdb_database import new_database, new_session
from act_fast._sql.names import relation_name
from act_fast._sql.needle import FLOOR, understood, with_floor
from act_fast._sql.question import ask, check_question, is_catalog, words_of
from act_fast._sql.relations import (
    EventClassRelation,
    EventsRelation,
    Relation,
    SkippedRelation,
    StreamsRelation,
    TargetsRelation,
)
from act_fast._sql.scan import Condition
from act_fast._sql.session import Session
from act_fast._sql.state_relations import StateRelation, ViewRelation
from act_fast.errors import DefinitionError, StoreError, ValidationError
from act_fast.stores.capabilities import columns_of, pinned_to_log
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import offers_reactions, reactions_of
from act_fast.stores.time_travel import cut_at

_OF_FEW: Final = frozenset({"stream", "position"})
"""Columns that the index of the log knows its events by."""

_CHOOSING: Final = frozenset({"where", "order"})
"""What a question about few events has."""

AtHand: TypeAlias = Callable[[Store], Store]

__all__ = ["Library", "library_of_app", "library_of_store"]


class Library:
    """The relations of a store, or of an app on it. Only questions that are kept answered come and go.

    Attributes:
        store: where the events are.
        made_of: the definitions of an app that they were made of.

    Args:
        at_hand: gives the store as it is now, or a copy of it, where it can be read as columns.
    """

    def __init__(
        self,
        store: Store,
        relations: list[Relation],
        targets: Callable[[], Iterator[Target]],
        skipped: Callable[[], Iterator[Skipped]],
        at_hand: AtHand,
        made_of: tuple[Registry, Catalog] | None = None,
    ) -> None:
        self.store: Store = store
        self.made_of: tuple[Registry, Catalog] | None = made_of
        self._own: Mapping[str, Relation] = {relation.name.casefold(): relation for relation in relations}
        self._targets = targets
        self._skipped = skipped
        self._at_hand = at_hand
        self._continuous: Mapping[str, ContinuousRelation] = {}

    @property
    def relations(self) -> Mapping[str, Relation]:
        """All relations, by their names in small letters."""
        return {**self._own, **self._continuous}

    @property
    def names(self) -> list[str]:
        """What the relations are called."""
        return [relation.name for relation in self.relations.values()]

    def events_of(self, event: type[Event]) -> EventClassRelation:
        """The events of a class, with a typed column for each field.

        Raises:
            DefinitionError: there is no such class in the app.
        """
        for relation in self.relations.values():
            if isinstance(relation, EventClassRelation) and relation.event is event:
                return relation
        said = event.__name__ if isinstance(event, type) else repr(event)
        raise DefinitionError(f"{said} is not an event of this app; pass an event class of its states, without quotes")

    def continuous(self, name: str) -> ContinuousRelation:
        """The question of this name that is kept answered."""
        return self._continuous[name.casefold()]

    def keep(self, questions: Sequence[KeptQuestion]) -> None:
        """Have a relation for each question that is kept answered, and for no others.

        Raises:
            DefinitionError: one cannot be kept, or its name is taken; nothing was changed.
        """
        known = [each.asked for each in self._continuous.values()]
        if known == list(questions):
            return
        own = self._own
        sources = {name: each for name, each in own.items() if isinstance(each, EventClassRelation | EventsRelation)}
        taken = {name for each in own.values() for name in each.called}
        found = {}
        for each in questions:
            name = each.name.casefold()
            if name in taken or is_catalog(name):
                raise DefinitionError(f"a view cannot be called {each.name!r}: a relation is; call it something else")
            same = each in known
            found[name] = self._continuous[name] if same else ContinuousRelation(each, sources, self._new_session())
        self._continuous = found

    def _new_session(self) -> Session:
        return self.session(new_session(self))

    def session(
        self, connection: duckdb.DuckDBPyConnection, at: int | datetime | None = None, *, files: bool = False
    ) -> Session:
        """A cut to ask about: the log as it is now, or was at a position or a time."""
        store = self._at_hand(self.store)
        columns_of(store)  # or say that SQL cannot read this store
        store = pinned_to_log(store)  # a restored log would have other events at the same positions
        return Session(connection, store, cut_at(store, at), self._targets, self._skipped, files=files)

    def sql(
        self, query: str, params: Mapping[str, Any], at: int | datetime | None, *, lossless: bool = False
    ) -> duckdb.DuckDBPyRelation:
        """Ask one question on a connection of its own, which lives as long as the answer.

        With `lossless` the answer keeps DuckDB's types where another database reads it.
        """
        session = self.session(new_database(lossless=True) if lossless else new_session(self), at)
        session.is_new = True
        return self.ask(session, query, params, alone=True)

    def ask(
        self, session: Session, query: str, params: Mapping[str, Any], *, alone: bool = False
    ) -> duckdb.DuckDBPyRelation:
        """Ask one question, with the relations that it names put in place for it.

        Where it stays `alone` on its connection, they may be what suits it best.
        """
        functions = {each for relation in self.relations.values() for each in relation.functions}
        with interruptible():
            check_question(session.connection, query, files=session.files, known=functions, relations=self.names)
            words = named = words_of(query)
            asked, given = query, params
            if alone and words is not None and words & _OF_FEW and words & _CHOOSING:
                asked, given, named = self._look(session, query, params, words)
            self.place(session, named)
            try:
                return ask(session.connection, asked, given, self.names)
            except ValidationError:
                if named == words:
                    raise
            session.mentions, session.is_new = {}, False
            self.place(session, words)
            return ask(session.connection, query, params, self.names)

    def _look(
        self, session: Session, query: str, params: Mapping[str, Any], words: frozenset[str]
    ) -> tuple[str, Mapping[str, Any], frozenset[str]]:
        """Find out whether few events are asked for.

        Answers the question with its parameters, or the same about these alone, and which words are names of relations.
        """
        said = understood(session.connection, query, params)
        if said is None:
            return query, params, words
        session.mentions = said.mentions
        named = words & said.names
        last = said.newest
        relation = None if last is None else self.relations.get(last.relation)
        if last is None or not isinstance(relation, EventsRelation | EventClassRelation):
            return query, params, named
        position = relation.scans(session.store)(0, session.position).floor(last.count, last.conditions)
        if position is None:
            return query, params, named
        session.mentions = {last.relation: [[*last.conditions, Condition("position", ">=", position)]]}
        return with_floor(session.connection, query, said.tree), {**params, FLOOR: position}, named

    def place(self, session: Session, words: frozenset[str] | None = None) -> None:
        """Put relations in place: those that are among some words, or all."""
        session.warned.clear()
        session.words = words
        for relation in self.relations.values():
            if not session.names(*relation.called):
                continue
            try:
                relation.place(session)
            except (StoreError, ValidationError) as error:
                if words is not None or not isinstance(relation, TargetsRelation | SkippedRelation):
                    raise
                # Who may not read these, or cannot, may still ask for all else; who asks for them is told.
                log.warning("%s is left out: %s", relation.name, error)


def library_of_store(store: Store, at_hand: AtHand) -> Library:
    """The relations of a store whose events nobody has classes for."""

    def found() -> Iterator[Target]:
        reactions = reactions_of(store)
        try:
            yield from targets(reactions)
        finally:
            reactions.close()

    def found_skipped() -> Iterator[Skipped]:
        reactions = reactions_of(store)
        try:
            yield from skipped(reactions, store)
        finally:
            reactions.close()

    return Library(
        store,
        [EventsRelation(), StreamsRelation(), TargetsRelation(), SkippedRelation()],
        *_if_kept(store, found, found_skipped),
        at_hand,
    )


def library_of_app(
    store: Store,
    registry: Registry,
    catalog: Catalog,
    targets: Callable[[], Iterator[Target]],
    skipped: Callable[[], Iterator[Skipped]],
    at_hand: AtHand,
) -> Library:
    """The relations of an app: those of its store, and one for each class of events and states."""
    relations: list[Relation] = [EventsRelation(), StreamsRelation(), TargetsRelation()]
    last = SkippedRelation()
    taken = [relation.name for relation in (*relations, last)]
    for model in registry.models.values():
        state = StateRelation(relation_name(model.definition.state.__name__, "state", taken), model)
        relations.append(state)
        taken += [state.name, state.at_name]
    for model in registry.views.values():
        view = ViewRelation(relation_name(model.definition.state.__name__, "state", taken), model)
        relations.append(view)
        taken += [view.name, view.at_name]
    codec = codec_of(registry, catalog.reactions)
    for event in dict.fromkeys(codec.classes.values()):
        name = relation_name(event.__name__, "event", taken)
        relations.append(EventClassRelation(name, event, codec))
        taken.append(name)
    return Library(store, [*relations, last], *_if_kept(store, targets, skipped), at_hand, (registry, catalog))


def _if_kept(
    store: Store, targets: Callable[[], Iterator[Target]], skipped: Callable[[], Iterator[Skipped]]
) -> tuple[Callable[[], Iterator[Target]], Callable[[], Iterator[Skipped]]]:
    """What tells of targets and skipped events; there are none where a store keeps nothing of reactions."""
    return (targets, skipped) if offers_reactions(store) else (lambda: iter(()), lambda: iter(()))
