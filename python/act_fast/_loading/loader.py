"""Loading: from the nearest state at hand, live or stored, to the state that is asked for."""

import copy
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Generic, TypeVar

import msgspec

from act_fast._core import Appended
from act_fast._events.codec import Codec
from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast._events.gone import CLOSED
from act_fast._events.meta import Meta, decode_meta
from act_fast._loading.cache import Cache, Entry
from act_fast._model.fold import PrunedEvent
from act_fast._model.model import Model
from act_fast._rows import EventPair
from act_fast._runtime.logger import log
from act_fast._runtime.observers import Observers
from act_fast._states.state import State
from act_fast.errors import ActError, DecodeError, DefinitionError, PrunedError, StoreClosedError
from act_fast.stores.capabilities import is_distant, log_mark_of, pinned_to_log
from act_fast.stores.port import Store
from act_fast.stores.rows import REPLACED, committed, pages_of, port_to
from act_fast.stores.time_travel import version_before
from act_fast.stores.values import Append

__all__ = ["Loaded", "Loader"]

S = TypeVar("S", bound=State)


class Loaded(msgspec.Struct, Generic[S], frozen=True, eq=False, gc=False):
    """A state that was loaded, how many events were folded for it, and whether a live one was at hand."""

    entry: Entry[S]
    replayed: int
    cached: bool


class Loader:
    """Loads states for one app, through its cache, from one log.

    When a restored one has taken its place, each verb raises `StoreClosedError`, and the cache is of no use any more.

    Attributes:
        store: where the events are, for as long as the log is this one.
        cache: live states of this log.
        distant: whether each question to the store is a round trip, which is better spared.
        append: appends to this log.
        codec: decodes the app's events.
    """

    def __init__(self, store: Store, cache: Cache, observers: Observers, codec: Codec) -> None:
        self.store = pinned_to_log(store)
        self.cache = cache
        self._mark = log_mark_of(store)
        port = port_to(self.store)
        self.append = port.append
        self._port = port
        self._version = port.version
        self.distant = is_distant(port)
        self._observers = observers
        self.codec = codec
        self._generation = self._generation_now()
        self._warned: set[tuple[type[State], str]] = set()

    def latest(self, model: Model[S], stream: str) -> Loaded[S]:
        """The state now. What the cache holds is only where folding starts; the log is always asked for more."""
        key = (model.definition.state, stream)
        held: Entry[S] | None = self.cache.get(key)
        if held is not None:
            version = self._version(stream)
            if version == held.version:
                return Loaded(held, 0, True)
            if version < held.version:  # another log now stands where this was folded from
                self.cache.drop(key)
                held = None
        start, spoilt = (held, False) if held is not None else self._stored(model, stream, None)
        entry = self._replay(model, stream, start, None)
        if entry.version:
            self.cache.put(key, entry)
        replayed = entry.version - (start.version if start else 0)
        if not entry.closed and (spoilt or (held is None and start is not None and self._far(model, replayed))):
            self._replace(model, stream, entry)
        return Loaded(entry, replayed, held is not None)

    def carrying(self, beside: Append) -> "Loader":
        """The same, whose appends carry something for another stream in the same commit."""
        other = copy.copy(self)

        def append(
            stream: str, events: Sequence[EventPair], expected_version: int | None = None, meta: bytes | None = None
        ) -> Appended:
            both = [Append(stream, events, expected_version), beside]
            return self.store.append_many(both, meta=decode_meta(meta or b""))[0]

        other.append = append
        return other

    def at_hand(self, model: Model[S], stream: str) -> Entry[S] | None:
        """The state that the cache holds, which may be an old one."""
        return self.cache.at_hand((model.definition.state, stream))

    def is_current(self, stream: str, entry: Entry[S]) -> bool:
        """Whether nothing has been appended to a stream since it had this state."""
        return self._version(stream) == entry.version

    @property
    def replaced(self) -> bool:
        """Whether a restored log has taken the place of this one, or is about to."""
        return self._mark is not None and self._mark.replaced

    def save_snapshot(self, model: Model[S], stream: str, entry: Entry[S]) -> bool:
        """Store a state of this log; False if someone has been forgotten since it was folded, and nothing is stored.

        Raises:
            DefinitionError: it cannot be stored, or would give away something that is sealed in the stream.
        """
        data = model.stored.encode(entry.state)
        if not self._is_sealed(model, stream, entry.version, entry.state):
            return False
        if self.replaced:
            raise StoreClosedError(REPLACED)
        self.store.save_snapshot(stream, entry.version, data)
        return True

    def held(self, model: Model[S], stream: str, version: int, state: S) -> bytes | None:
        """The data of an event that holds a state of this version; None if someone has been forgotten since.

        Raises:
            DefinitionError: as `save_snapshot`.
        """
        data = model.held(state)
        return data if self._is_sealed(model, stream, version, state) else None

    def _is_sealed(self, model: Model[S], stream: str, version: int, state: S) -> bool:
        if not model.may_give_away:
            return True
        from act_fast._loading.in_clear import check_sealed

        check_sealed(self.store, self._port, model, stream, version, state)
        # Whose key is gone is not seen in the events, but may still be in a state that was folded before.
        return self._generation_now() == self._generation

    def _generation_now(self) -> int:
        return 0 if self.codec.sealer is None else self.codec.sealer.generation()

    def events_between(self, stream: str, first: int, last: int) -> list[Committed[Event]]:
        """A stream's events from one version to another, both included, as far as the app knows them."""
        codec = self.codec
        pages = pages_of(self._port, stream, first - 1, last + 1)
        found = (committed(row) for page in pages for row in page if row[3] in codec.decoders)
        return list(codec.committed_each(found))

    def meta_at(self, stream: str, version: int) -> Meta:
        """The meta of an event that is there."""
        rows, _ = self._port.load(stream, version - 1, version + 1, 1)
        return decode_meta(rows[0][6])

    def at_moment(
        self,
        model: Model[S],
        stream: str,
        before: int | datetime | None,
        at: int | datetime | None,
        position: int | None,
    ) -> Loaded[S]:
        """The state at a moment; now, when none is named."""
        end = version_before(self.store, stream, before, at, position)
        return self.latest(model, stream) if end is None else self._before(model, stream, end)

    def history(self, model: Model[S], stream: str, after: int, before: int | None) -> Iterator[Entry[S]]:
        """The state after each event, each a copy of its own. Where events were pruned, it begins above them."""
        try:
            start = self._before(model, stream, after + 1).entry
        except PrunedError as error:
            start = Entry(model.make(), error.begins - 1, 0, False)
        while True:
            state, closed = model.copy(start.state), start.closed
            try:
                for page in pages_of(self._port, stream, start.version, before):
                    for row in page:
                        closed = model.rows(state, (row,)) or closed
                        yield Entry(model.copy(state), row[2], row[0], closed)
                return
            except PrunedEvent as pruned:
                from act_fast._loading.books import held_above

                begins = next(held_above(self.store, stream, pruned.version), None)
                if begins is None:
                    raise PrunedError(stream, pruned.version, 0) from None
                start = Entry(model.make(), begins.version - 1, 0, False)

    def _before(self, model: Model[S], stream: str, end: int) -> Loaded[S]:
        """The state just before version `end`. Leaves the cache as it is, which is for the states of today."""
        held: Entry[S] | None = self.cache.get((model.definition.state, stream))
        if held is not None and not (held.version < end and held.version <= self._version(stream)):
            held = None
        start = held if held is not None else self._stored(model, stream, end)[0]
        entry = self._replay(model, stream, start, end)
        return Loaded(entry, entry.version - (start.version if start else 0), held is not None)

    def _stored(self, model: Model[S], stream: str, end: int | None) -> tuple[Entry[S] | None, bool]:
        """The latest stored snapshot below version `end` that can be used, and whether there is one that cannot."""
        if end is not None and end < 2:
            return None, False
        highest = None if end is None else end - 1
        found = self._port.latest_snapshot(stream, highest)
        if found is None:
            return None, False
        # Those of other releases, which may be running beside this one, are none of its business: to each its own.
        beginning = model.stored.beginning
        if not found[2].startswith(beginning):
            found = self._port.latest_snapshot(stream, highest, beginning) or found
        version, _, data = found
        rows, _ = self._port.load(stream, version - 1, version + 1, 1)
        try:
            state = model.stored.decode(data)
        except DecodeError as error:
            self._warn(model, stream, version, str(error))
            return None, True
        return (Entry(state, version, rows[0][0], rows[0][3] == CLOSED), False) if rows else (None, True)

    @staticmethod
    def _far(model: Model[S], replayed: int) -> bool:
        """Whether so many events lie behind the snapshot that another is due: all of them another release's."""
        every = model.definition.snapshot_every
        return every is not None and replayed >= every

    def _replay(self, model: Model[S], stream: str, start: Entry[S] | None, end: int | None) -> Entry[S]:
        """Fold what comes after `start`, up to but not including version `end`."""
        if start is None:
            start = Entry(model.make(), 0, 0, False)
        pages = pages_of(self._port, stream, start.version, end)
        first = next(pages, None)
        if first is None:
            return start
        state, closed, last = model.copy(start.state), start.closed, first[-1]
        try:
            for page in chain((first,), pages):
                closed = model.rows(state, page) or closed  # once closed it stays so, whatever the store took since
                last = page[-1]
        except PrunedEvent as pruned:
            from act_fast._loading.books import beginning

            begins = beginning(self.store, stream, pruned.version, end)
            return self._replay(model, stream, Entry(model.make(), begins - 1, 0, False), end)
        return Entry(state, last[2], last[0], closed)

    def _warn(self, model: Model[S], stream: str, version: int, why: str) -> None:
        """Say once for each state why snapshots are not used: after a release it may be so with a million streams."""
        key = (model.definition.state, why)
        if key not in self._warned:
            self._warned.add(key)
            name = model.definition.name
            log.warning(
                "the snapshot of %r at version %d is not used: %s; the same goes, without further messages, for other"
                " snapshots of %s",
                stream,
                version,
                why,
                name,
            )

    def _replace(self, model: Model[S], stream: str, entry: Entry[S]) -> None:
        try:
            self.save_snapshot(model, stream, entry)
        except ActError as error:
            once = isinstance(error, DefinitionError)
            self._observers.fail(f"replacing the snapshot of {stream!r}", error, once=once)
