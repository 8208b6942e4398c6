"""What a batch comes to, decided in this process: for a database without functions of ours."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from act_fast._rows import ConditionRow, ItemRow
from act_fast.stores.database.tags import tags_of
from act_fast.stores.database.writer import NEVER, Request
from act_fast.stores.once import key_tag

__all__ = ["EventRow", "Plan", "StreamTouched", "streams_of"]

EventRow: TypeAlias = tuple[int, int, str, int, str, int, bytes, bytes, bytes | None, Sequence[str]]
"""position, commit position, stream, version, name, created in µs, data, meta, correlation, tags"""


class StreamTouched:
    """What a batch makes of a stream.

    Attributes:
        events: how many events it adds.
        first_position: where the first of them is.
        last_position: where the last of them is.
        last_name: the name of the last.
    """

    __slots__ = ("events", "first_position", "last_name", "last_position")

    def __init__(self, first_position: int) -> None:
        self.events: int = 0
        self.first_position: int = first_position
        self.last_position: int = first_position
        self.last_name: str = ""


class Plan:
    """Takes requests in their order, each for itself, from where the log and the streams are.

    Args:
        head: the last position so far.
        created_us: the time of all these commits, in µs since 1970.
        versions: those of the streams that are there.
        newest: for each condition of the requests, and behind them for the key of each that has one, the position of
            the newest event that stands against it so far; 0 if none does.

    Attributes:
        head: the last position with all that was accepted.
        events: what is to be written.
        streams: what it makes of each stream.
        outcome: three numbers for each part; see `Appending`.
    """

    def __init__(self, head: int, created_us: int, versions: Mapping[str, int], newest: Sequence[int] = ()) -> None:
        self.head: int = head
        self.events: list[EventRow] = []
        self.streams: dict[str, StreamTouched] = {}
        self.outcome: list[int] = []
        self._created_us = created_us
        self._versions = dict(versions)
        self._newest: Iterator[int] = iter(newest)

    def take(self, request: Request) -> None:
        """Accept a request, or refuse it."""
        newest = [next(self._newest) for _ in range(len(request.conditions) + (request.once is not None))]
        refused = self._refused(request, newest)
        if refused is not None:
            for _ in request.parts:
                self.outcome += (0, *refused)
            return
        commit, why = self.head + 1, (request.meta, request.correlation)
        for stream, events, _ in request.parts:
            version = self._versions.get(stream, 0)
            self.outcome += (version + 1, self.head + 1, 0)
            touched = self.streams.setdefault(stream, StreamTouched(self.head + 1))
            for event in events:
                self.head += 1
                version += 1
                name, data, tags = event[0], event[1], tags_of(event)
                self.events.append((self.head, commit, stream, version, name, self._created_us, data, *why, tags))
            touched.events += len(events)
            touched.last_position, touched.last_name = self.head, events[-1][0]
            self._versions[stream] = version

    def _refused(self, request: Request, newest: Sequence[int]) -> tuple[int, int] | None:
        """The number of what stands against a request, and the version or the position; None if nothing does."""
        added: dict[str, int] = {}
        if request.once is not None:
            *newest, used = newest
            used = self._newest_of(([((), (key_tag(request.once[0]),))], 0)) or used
            if used:
                return len(request.parts) + len(request.versions) + len(request.conditions) + 1, used
        for number, (stream, events, expected) in enumerate(request.parts, 1):
            version = self._versions.get(stream, 0) + added.get(stream, 0)
            if (NEVER if request.settled else expected) not in (None, version):
                return number, version
            added[stream] = added.get(stream, 0) + len(events)
        before = len(request.parts)
        for number, (stream, version) in enumerate(request.versions, before + 1):
            if self._versions.get(stream, 0) != version:
                return number, self._versions.get(stream, 0)
        before += len(request.versions)
        for number, (condition, so_far) in enumerate(zip(request.conditions, newest, strict=True), before + 1):
            position = self._newest_of(condition) or so_far
            if position:
                return number, position
        return None

    def _newest_of(self, condition: ConditionRow) -> int:
        """The position of the newest event of this batch that stands against a condition; 0 if none does."""
        items, after = condition
        for row in reversed(self.events):
            if row[0] > after and any(_takes(item, row[4], row[-1]) for item in items):
                return row[0]
        return 0


def streams_of(batch: Sequence[Request]) -> list[str]:
    """The streams that a batch is about, each once."""
    written = (stream for request in batch for stream, _, _ in request.parts)
    expected = (stream for request in batch for stream, _ in request.versions)
    return [*dict.fromkeys((*written, *expected))]


def _takes(item: ItemRow, name: str, tags: Sequence[str]) -> bool:
    names, wanted = item
    return (not names or name in names) and all(tag in tags for tag in wanted)
