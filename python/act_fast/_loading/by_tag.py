"""Views: loaded by tag, as of a moment or one by one, and all of a class folded in one pass."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from act_fast._events.codec import Codec
from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast._events.meta import Meta
from act_fast._loading.cache import Entry
from act_fast._loading.loader import Loaded, Loader
from act_fast._model.model import Model
from act_fast._rows import Row
from act_fast._states.state import State
from act_fast.stores.port import Store
from act_fast.stores.time_travel import until

__all__ = ["EventAt", "FoldedTag", "fold_tags", "load_view", "view_history", "view_now"]

S = TypeVar("S", bound=State)

_TOLD_EVERY: Final = 4096


class EventAt(msgspec.Struct, frozen=True):
    """Reads again the event that a view stands at. A view's version is no version of a stream."""

    store: Store
    codec: Codec
    position: int

    def events_between(self, stream: str, first: int, last: int) -> Sequence[Committed[Event]]:
        """The event, as far as the view knows it."""
        return [self.codec.committed(each) for each in self._found()]

    def meta_at(self, stream: str, version: int) -> Meta:
        """Its meta."""
        return next((each.meta for each in self._found()), Meta())

    def _found(self) -> Iterator[Committed[bytes]]:
        return iter(self.store.query(after=self.position - 1, before=self.position + 1))


def view_now(loader: Loader, model: Model[S], tag: str, held: Entry[S] | None, upto: int | None) -> Loaded[S]:
    """A view as of the head, or of a position that is none behind `held`, what the cache has of it."""
    start: Entry[S] = Entry(model.make(), 0, 0, False) if held is None else held
    entry = _fold(loader.store, model, tag, start, upto, None)
    if entry.version > start.version:
        loader.cache.put((model.definition.state, tag), entry)
    return Loaded(entry, entry.version - start.version, held is not None)


def load_view(
    loader: Loader,
    model: Model[S],
    tag: str,
    before: int | datetime | None,
    at: int | datetime | None,
    position: int | None,
) -> Loaded[S]:
    """A view at a moment; now, when none is named."""
    held: Entry[S] | None = loader.cache.get((model.definition.state, tag))
    upto, count = until(loader.store, before, at, position)
    if upto is None and count is None:
        return view_now(loader, model, tag, held, None)
    if held is not None and (held.version > (held.version if count is None else count)):
        held = None
    if held is not None and held.position > (held.position if upto is None else upto):
        held = None
    start: Entry[S] = Entry(model.make(), 0, 0, False) if held is None else held
    entry = _fold(loader.store, model, tag, start, upto, None if count is None else count - start.version)
    return Loaded(entry, entry.version - start.version, held is not None)


def view_history(loader: Loader, model: Model[S], tag: str, after: int, before: int | None) -> Iterator[Entry[S]]:
    """A view after each of its events, each a copy of its own."""
    state = model.make()
    limit = None if before is None else max(before - 1, 0)
    found = loader.store.query(names=[*model.steps], tags=[tag], limit=limit)
    for version, event in enumerate(found, 1):
        model.rows(state, (_row(event),))
        if version > after:
            yield Entry(model.copy(state), version, event.position, False)


def _fold(store: Store, model: Model[S], tag: str, start: Entry[S], upto: int | None, limit: int | None) -> Entry[S]:
    """Fold up to `limit` of the events behind `start`, up to a position."""
    before = None if upto is None else upto + 1
    found = store.query(names=[*model.steps], tags=[tag], after=start.position, before=before, limit=limit)
    counted = _Counted(found)
    first = next(counted, None)
    if first is None:
        return start
    state = model.copy(start.state)
    model.rows(state, (first,))
    model.rows(state, counted)
    return Entry(state, start.version + counted.count, counted.position, False)


class _Counted(Iterator[Row]):
    """Events as rows; keeps how many there were, and where the last one is."""

    def __init__(self, events: Iterator[Committed[bytes]]) -> None:
        self._events = events
        self.count = self.position = 0

    def __next__(self) -> Row:
        event = next(self._events)
        self.count += 1
        self.position = event.position
        return _row(event)


class FoldedTag(NamedTuple, Generic[S]):
    """A view of one tag, or why its events do not fold."""

    tag: str
    version: int
    position: int
    state: S | Exception


def fold_tags(
    store: Store,
    model: Model[S],
    cut: int,
    wanted: Callable[[str], bool] | None = None,
    told: Callable[[int], object] | None = None,
) -> Iterator[FoldedTag[S]]:
    """All views of a class as of a position, in the order of their first events. Memory holds all of them.

    Args:
        store: where the events are.
        model: the view.
        cut: the log as it was when this position was its last.
        wanted: whether a tag is one of those asked for.
        told: called now and then with the number of events looked at so far.
    """
    key = f"{model.definition.name}:"
    known: dict[str, bool] = {}
    folded: dict[str, list[Any]] = {}
    count = 0
    for event in store.query(names=[*model.steps], before=cut + 1):
        count += 1
        if told is not None and count % _TOLD_EVERY == 0:
            told(count)
        for tag in event.tags:
            if tag not in known:
                known[tag] = tag.startswith(key) and (wanted is None or wanted(tag))
            if known[tag]:
                at = folded.setdefault(tag, [0, 0, model.make()])
                _add(model, at, event)
    if told is not None:
        told(count)
    for tag, (version, position, state) in folded.items():
        yield FoldedTag(tag, version, position, state)


def _add(model: Model[Any], at: list[Any], event: Committed[bytes]) -> None:
    at[0] += 1
    at[1] = event.position
    if isinstance(at[2], Exception):
        return
    try:
        model.rows(at[2], (_row(event),))
    except Exception as error:  # a reducer may raise anything
        at[2] = error


def _row(event: Committed[bytes]) -> Row:
    return event.position, event.stream, event.version, event.name, 0, event.data, b"", event.tags
