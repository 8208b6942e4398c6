"""Folding all streams of a store, a group of them at a time: in one pass of the core, or one by one in any store."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import length_hint
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from act_fast._core import Declaration, Group
from act_fast._events.context import deciding
from act_fast._events.gone import CLOSED, GONE
from act_fast._events.sealing import wire_of
from act_fast._loading.books import beginning, closed_books
from act_fast._model.fold import PrunedEvent
from act_fast._model.model import Model
from act_fast._rows import Row
from act_fast._states.state import State
from act_fast.stores.capabilities import ReplayGroups, load_each, replay_groups_of
from act_fast.stores.port import Store
from act_fast.stores.rows import pages_of, port_to
from act_fast.stores.values import StreamInfo

__all__ = ["Folded", "Folding"]

S = TypeVar("S", bound=State)
T = TypeVar("T")

Columns: TypeAlias = tuple[Sequence[str], Sequence[int], Sequence[int], Sequence[bool], Sequence[T]]
"""What streams were folded into: their names, versions, positions, whether closed, states, or the JSON of these."""

GROUP_STREAMS_MAX: Final = 100_000
"""How many live states are in memory at once."""

_PAGE_EVENTS: Final = 4096
_PAGE_STREAMS: Final = 1000
_encode: Final = msgspec.json.Encoder().encode


class Folded(NamedTuple, Generic[T]):
    """A stream's state at the cut, or the JSON of it."""

    stream: str
    version: int
    position: int
    closed: bool
    state: T


_folded: Final[Callable[[Any], Folded[Any]]] = partial(tuple.__new__, Folded)
"""A `Folded` of a tuple of its parts, without a call in Python."""


class Folding(Generic[S]):
    """What is to be folded.

    Args:
        store: where the streams are.
        model: what folds them.
        cut: the log as it was when this position was its last.
        pattern: only streams whose name this regular expression is found in.
        after: only streams that came to be after this one.
        told: called now and then with the number of events folded so far.
    """

    def __init__(
        self,
        store: Store,
        model: Model[S],
        cut: int,
        pattern: str | None = None,
        after: str | None = None,
        told: Callable[[int], object] | None = None,
    ) -> None:
        self._store = store
        self._model = model
        self._cut = cut
        self._pattern = pattern
        self._after = after
        self._told = told or (lambda events: None)
        self._events = 0
        self._names = list(model.steps)

    def pages(self) -> Iterator[Columns[S]]:
        """The states of the streams that have at least one event of the model's, in the order they came to be."""
        decode = msgspec.json.Decoder(self._model.definition.state).decode
        return self._pages(lambda json: list(map(decode, json)), lambda found: found)

    def encoded_pages(self) -> Iterator[Columns[bytes]]:
        """The same as `pages`, each state as JSON, without personal values."""
        wire = wire_of(self._model.definition.state)
        encode = _encode if wire is None else wire.blank
        return self._pages(
            lambda json: json,
            lambda found: [Folded(*each[:4], encode(each.state)) for each in found],
        )

    def _pages(
        self,
        of_json: Callable[[list[bytes]], list[T]],
        of_states: Callable[[list[Folded[S]]], list[Folded[T]]],
    ) -> Iterator[Columns[T]]:
        """Pages of what becomes of the core's JSON, or of states that were folded here; none of them is empty."""
        replayer = replay_groups_of(self._store)
        if replayer is None:
            for found in self._one_by_one():
                yield _columns(of_states(found))
            return
        books = closed_books(self._store)
        for group, states in self._groups(replayer):
            for start in range(0, len(group), _PAGE_STREAMS):
                end = start + _PAGE_STREAMS
                page: Columns[T]
                if states is None:
                    streams, versions, positions, closed, json = group.states(self._declaration(), start, end)
                    page = streams, versions, positions, closed, of_json(json)
                else:
                    page = _columns(of_states(_standing(group, states, start, end)))
                if books:
                    rows: Iterator[Folded[T]] = map(_folded, zip(*page, strict=True))
                    page = _columns([one for each in rows for one in self._from_books(each, books, of_states)])
                if page[0]:
                    yield page

    def _from_books(
        self, folded: Folded[T], books: frozenset[str], of_states: Callable[[list[Folded[S]]], list[Folded[T]]]
    ) -> list[Folded[T]]:
        """The same, folded one by one where the stream's books were closed: from the state that was held there."""
        if folded.stream not in books:
            return [folded]
        found = self.stream(folded.stream)
        return [] if found is None else of_states([found])

    def stream(self, stream: str) -> Folded[S] | None:
        """The state of one stream; None when it has no event of the model's."""
        return self._stream(port_to(self._store), stream)

    def _groups(self, replayer: ReplayGroups) -> Iterator[tuple[Group, list[S | None] | None]]:
        """The groups of streams, each with its states by slot; without them where the core has folded it."""
        names = self._names
        replay = replayer.replay(names, CLOSED, self._cut, GROUP_STREAMS_MAX, self._pattern, self._after)
        while (group := replay.next_group()) is not None:
            states = None if self._folded_in_core(group) else self._states(names, group)
            for stream, version, name in group.strangers():
                self._model.stranger(stream, version, name)
            yield group, states

    def _declaration(self) -> Declaration:
        assert self._model.declaration is not None
        return self._model.declaration

    def _folded_in_core(self, group: Group) -> bool:
        """Fold a group in the core; False when there is something in it that the core does not know, or that is wrong.

        What is wrong, and with which event, only Python says, so that it is the same for replay as for `load`.
        """
        if self._model.declaration is None:
            return False
        before = self._events

        def told(events: int) -> None:
            self._events = before + events
            self._told(self._events)

        try:
            done = group.fold(self._model.declaration, self._read, told)
        except _Beyond:
            group.rewind()
            done = False
        if not done:
            self._events = before
        return done

    def _read(self, rows: list[tuple[int, str, int, int, bytes]]) -> list[bytes]:
        """Events that only Python can read, as they would be encoded today."""
        steps = self._model.steps
        try:
            return [_encode(steps[self._names[number]][0](data)) for number, _, _, _, data in rows]
        except Exception:
            raise _Beyond from None

    def _states(self, names: list[str], group: Group) -> list[S | None]:
        """The states of a group by slot; None where no event is the model's."""
        model, told = self._model, self._told
        steps = [model.steps[name] for name in names]
        states: list[S | None] = [None] * len(group)
        while (page := group.next_page(_PAGE_EVENTS, steps, states, model.make)) is not None:
            folded, by, data = page
            rest = iter(data)
            failed: Exception | None = None
            before = deciding.get()
            at = 0
            while at < len(data):
                try:
                    deciding.set(f"a reducer of {model.definition.name}")
                    for state, (decode, reduce), each in zip(folded[at:], by[at:], rest, strict=True):
                        if reduce(state, decode(each)) is not None:
                            model.returned(names[group.place(len(data) - length_hint(rest) - 1)[3]])
                    at = len(data)
                except Exception as error:
                    failed = error
                    at = len(data) - length_hint(rest)
                finally:
                    deciding.set(before)
                if failed is not None and data[at - 1] not in GONE:
                    stream, version, position, number = group.place(at - 1)
                    raise self._failure(failed, (stream, version, position), names[number], data[at - 1])
                failed = None
            self._events += len(data)
            told(self._events)
        return states

    def _failure(self, error: Exception, place: tuple[str, int, int], name: str, data: bytes) -> Exception:
        """What to raise for a stream that does not fold: what loading it raises, be it for an event before this one."""
        stream, version, position = place
        try:
            Folding(self._store, self._model, self._cut).stream(stream)
        except Exception as found:
            return found
        return self._model.meaning(error, (position, stream, version, name, 0, data, b"", ()))

    def _one_by_one(self) -> Iterator[list[Folded[S]]]:
        port = port_to(self._store)
        page: list[Folded[S]] = []
        for infos in _some(self._store.streams(pattern=self._pattern, after=self._after)):
            ahead = load_each(port, [info.stream for info in infos], _PAGE_EVENTS)
            for info in infos:
                folded = self._stream(port, info.stream, ahead.pop(info.stream, None))
                if folded is not None:
                    page.append(folded)
                if len(page) == _PAGE_STREAMS:
                    yield page
                    page = []
        if page:
            yield page

    def _stream(self, port: Any, stream: str, whole: list[Row] | None = None) -> Folded[S] | None:
        try:
            return self._folded(port, stream, 0, whole)
        except PrunedEvent as pruned:
            begins = beginning(self._store, stream, pruned.version, cut=self._cut)
        return self._folded(port, stream, begins - 1, None, known=True)

    def _folded(
        self, port: Any, stream: str, after: int, whole: list[Row] | None, *, known: bool = False
    ) -> Folded[S] | None:
        model, state, closed = self._model, self._model.make(), False
        last = None
        strangers: list[Row] = []
        for page in pages_of(port, stream, after, None) if whole is None else [whole]:
            rows = [row for row in page if row[0] <= self._cut]
            ours = sum(row[3] in model.steps for row in rows)
            known = known or ours > 0
            last = rows[-1] if rows else last
            if known:
                closed = model.rows(state, strangers + rows) or closed
                strangers = []
            else:
                strangers += rows  # not told of unless the stream is the model's
            self._events += ours
            self._told(self._events)
            if len(rows) < len(page):
                break
        return Folded(stream, last[2], last[0], closed, state) if known and last is not None else None


def _some(infos: Iterator[StreamInfo]) -> Iterator[list[StreamInfo]]:
    """Streams, some at a time: as many as have events for a page together, or one."""
    some: list[StreamInfo] = []
    events = 0
    for info in infos:
        if some and (events + info.version >= _PAGE_EVENTS or len(some) == _PAGE_STREAMS):
            yield some
            some, events = [], 0
        some.append(info)
        events += info.version
    if some:
        yield some


def _columns(page: list[Folded[T]]) -> Columns[T]:
    streams, versions, positions, closed, states = zip(*page, strict=True) if page else ((),) * 5
    return streams, versions, positions, closed, states


def _standing(group: Group, states: list[S | None], start: int, end: int) -> list[Folded[S]]:
    return [
        _folded((*standing, state))
        for standing, state in zip(group.standings(start, end), states[start:end], strict=True)
        if standing is not None and state is not None
    ]


class _Beyond(Exception):
    """There is an event that the core cannot fold."""
