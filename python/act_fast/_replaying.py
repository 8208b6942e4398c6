"""Folding all streams of a store, a group of them at a time: in one pass of the core, or one by one in any store."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from operator import length_hint
from typing import Any, Final, Generic, NamedTuple, TypeVar

from act_fast import _arguments as arguments
from act_fast._core import Group
from act_fast._event import CLOSED
from act_fast._log_store import LogStore
from act_fast._port import pages_of, port_to
from act_fast._registry import Model
from act_fast._state import State
from act_fast._store import Store

__all__ = ["Folded", "Folding", "cut_at"]

S = TypeVar("S", bound=State)

GROUP_STREAMS_MAX: Final = 100_000
"""How many live states are in memory at once."""

_PAGE_EVENTS: Final = 4096
_PAGE_STREAMS: Final = 1000


class Folded(NamedTuple, Generic[S]):
    """A stream's state at the cut."""

    stream: str
    version: int
    position: int
    closed: bool
    state: S


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

    def pages(self) -> Iterator[list[Folded[S]]]:
        """The states of the streams that have at least one event of the model's, in the order they came to be."""
        return self._of_log(self._store) if type(self._store) is LogStore else self._one_by_one()

    def stream(self, stream: str) -> Folded[S] | None:
        """The state of one stream; None when it has no event of the model's."""
        return self._stream(port_to(self._store), stream)

    def _of_log(self, store: LogStore) -> Iterator[list[Folded[S]]]:
        names = list(self._model.steps)
        replay = store._log.replay(names, CLOSED, self._cut, GROUP_STREAMS_MAX, self._pattern, self._after)
        while (group := replay.next_group()) is not None:
            states = self._states(names, group)
            for stream, version, name in group.strangers():
                self._model.stranger(stream, version, name)
            for start in range(0, len(states), _PAGE_STREAMS):
                found = group.standings(start, start + _PAGE_STREAMS)
                page = [
                    Folded(*standing, state)
                    for standing, state in zip(found, states[start : start + _PAGE_STREAMS], strict=True)
                    if standing is not None and state is not None
                ]
                if page:
                    yield page

    def _states(self, names: list[str], group: Group) -> list[S | None]:
        """The states of a group by slot; None where no event is the model's."""
        model, told = self._model, self._told
        make = model.make
        steps = [model.steps[name] for name in names]
        states: list[S | None] = [None] * len(group)
        while (page := group.next_page(_PAGE_EVENTS)) is not None:
            slots, numbers, data = page
            rest = iter(data)
            try:
                for slot, number, each in zip(slots, numbers, rest, strict=True):
                    state = states[slot]
                    if state is None:
                        state = states[slot] = make()
                    decode, reduce = steps[number]
                    if reduce(state, decode(each)) is not None:
                        model.returned(names[number])
            except Exception as error:
                at = len(data) - length_hint(rest) - 1
                stream, version, position = group.place(at)
                meant = model.meaning(error, (position, stream, version, names[numbers[at]], 0, data[at], b""))
                if meant is error:
                    raise
                raise meant from None
            self._events += len(data)
            told(self._events)
        return states

    def _one_by_one(self) -> Iterator[list[Folded[S]]]:
        port = port_to(self._store)
        page: list[Folded[S]] = []
        for info in self._store.streams(pattern=self._pattern, after=self._after):
            folded = self._stream(port, info.stream)
            if folded is not None:
                page.append(folded)
            if len(page) == _PAGE_STREAMS:
                yield page
                page = []
        if page:
            yield page

    def _stream(self, port: Any, stream: str) -> Folded[S] | None:
        model, state, closed = self._model, self._model.make(), False
        known, last = False, None
        strangers = []
        for page in pages_of(port, stream, 0, None):
            rows = [row for row in page if row[0] <= self._cut]
            ours = [row for row in rows if row[3] in model.steps]
            closed = any(row[3] == CLOSED for row in rows) or closed
            strangers += [row for row in rows if row[3] not in model.steps and row[3] != CLOSED][:1]
            model.rows(state, ours)
            known = known or bool(ours)
            last = rows[-1] if rows else last
            self._events += len(ours)
            self._told(self._events)
            if len(rows) < len(page):
                break
        if not known or last is None:
            return None
        for row in strangers[:1]:
            model.stranger(stream, row[2], row[3])
        return Folded(stream, last[2], last[0], closed, state)


def cut_at(store: Store, at: int | datetime | None) -> int:
    """The position of a moment: the head when none is named.

    Args:
        store: the log in question.
        at: a position, or a time, included.

    Raises:
        ValidationError: it is no moment.
    """
    if at is None:
        return store.head
    if not isinstance(at, datetime):
        return min(arguments.count("at", at), store.head)
    moment_us = arguments.microseconds("at", at)
    assert moment_us is not None
    if type(store) is LogStore:
        return store._log.position_before(moment_us + 1)
    if at.replace(tzinfo=None) == datetime.max:
        return store.head
    later = at + timedelta(microseconds=1)
    return next((each.position for each in store.query(created_before=later, limit=1, backwards=True)), 0)
