"""The log as one projection sees it: its events, and what tells this log from all others."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from act_fast._events.committed import Committed
from act_fast._events.gone import GONE
from act_fast._reactions.skipped import left_out
from act_fast._workers.runner import Program
from act_fast.stores.capabilities import pinned_to_log, positions_in, store_id_of
from act_fast.stores.conditions import Conditions, conditions_of

if TYPE_CHECKING:
    from act_fast._projections.projection import Projection

__all__ = ["Origin", "UnreadableError"]

_PAGE_EVENTS: Final = 1000


class UnreadableError(Exception):
    """An event of the log does not decode.

    Attributes:
        position: where it is.
        error: what is wrong with it.
    """

    def __init__(self, position: int, error: Exception) -> None:
        super().__init__(position, error)
        self.position = position
        self.error = error


class Origin:
    """The log that a projection's events come from, as it was when this was made: a restored one is another.

    Attributes:
        names: the stored names of the projection's events.
        source: the stream, or the pattern of streams, that they come from, and the tags that they carry, a line each;
            empty for all.
    """

    def __init__(self, program: Program, projection: "Projection") -> None:
        self._store = pinned_to_log(program.store)
        self._codec = program.catalog().codec
        self._port, self._reaction = program.port, projection.name
        classes = set(projection.events)
        self.names = frozenset(name for name, event in self._codec.classes.items() if event in classes)
        self.source = "\n".join((projection.source or "", *sorted(projection.tags)))
        self._conditions = conditions_of(projection.source, projection.tags)

    @property
    def store(self) -> str:
        """The id of the store; empty for one that has none."""
        return store_id_of(self._store)

    @property
    def head(self) -> int:
        """The position of the last event."""
        return self._store.head

    def mark_at(self, position: int) -> str:
        """A mark of the event at a position; empty when there is none."""
        if not position:
            return ""
        found = next(iter(self._store.query(after=position - 1, before=position + 1)), None)
        return "" if found is None else mark_of(found)

    def first(self) -> int:
        """The position of the projection's first event; 0 when there is none."""
        return next((each.position for each in self._query(self.names, 0, None, 1)), 0)

    def any_between(self, names: Iterable[str], after: int, before: int) -> bool:
        """Whether there is an event of some names between two positions, from where the projection's come from.

        Those that were skipped are none: they are missed on purpose.
        """
        if after + 1 >= before:
            return False
        found = next(self._query(names, after, before, 1), None)
        if found is None:
            return False
        skipped = left_out(self._port(), self._reaction)
        return found.position not in skipped or any(
            each.position not in skipped for each in self._query(names, found.position, before, None)
        )

    def last_missing(self, events: Sequence[Committed[Any]], after: int) -> int:
        """The last of the projection's events before these end that is none of them, nor skipped; 0: there is none."""
        known = left_out(self._port(), self._reaction).union(event.position for event in events)
        found = positions_in(
            self._store, sorted(self.names), {**self._conditions, "after": after, "before": events[-1].position}
        )
        return max((position for position in found if position not in known), default=0)

    def pages(self, after: int, upto: int, delivered: frozenset[int] = frozenset()) -> Iterator[list[Committed[Any]]]:
        """The projection's events between two positions, the second included, page by page.

        Those that were skipped are left out, unless they are delivered.

        Raises:
            UnreadableError: an event does not decode; all before it have been given.
        """
        found = self._query(self.names, after, upto + 1, None)
        skipped = left_out(self._port(), self._reaction) - delivered
        while rows := list(islice((row for row in found if row.position not in skipped), _PAGE_EVENTS)):
            page: list[Committed[Any]] = []
            for row in rows:
                if row.data in GONE:
                    continue
                try:
                    page.append(self._codec.committed(row))
                except Exception as error:
                    if page:
                        yield page
                    raise UnreadableError(row.position, error) from error
            yield page

    def again(self, events: list[Committed[Any]]) -> list[Committed[Any]]:
        """The same events, read once more."""
        if not events:
            return []
        wanted = {event.position for event in events}
        found = self._query(self.names, events[0].position - 1, events[-1].position + 1, None)
        return list(self._codec.committed_each(row for row in found if row.position in wanted))

    def _query(
        self, names: Iterable[str], after: int, before: int | None, limit: int | None
    ) -> Iterator[Committed[bytes]]:
        conditions: Conditions = {**self._conditions, "after": after, "before": before}
        return self._store.query(names=sorted(names), limit=limit, **conditions)


def mark_of(event: Committed[Any]) -> str:
    """A mark of an event: no other one, of this log or another, has the same."""
    parts = (event.position, event.stream, event.version, event.name, event.created.isoformat(), event.meta.correlation)
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
