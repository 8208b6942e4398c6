"""What a batch comes to, decided in this process: for a database without functions of ours."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from act_fast.stores.database.writer import NEVER, Part, Request

__all__ = ["EventRow", "Plan", "StreamTouched", "streams_of"]

EventRow: TypeAlias = tuple[int, int, str, int, str, int, bytes, bytes, bytes | None]
"""position, commit position, stream, version, name, created in µs, data, meta, correlation"""


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

    Attributes:
        head: the last position with all that was accepted.
        events: what is to be written.
        streams: what it makes of each stream.
        outcome: three numbers for each part; see `Appending`.
    """

    def __init__(self, head: int, created_us: int, versions: Mapping[str, int]) -> None:
        self.head: int = head
        self.events: list[EventRow] = []
        self.streams: dict[str, StreamTouched] = {}
        self.outcome: list[int] = []
        self._created_us = created_us
        self._versions = dict(versions)

    def take(self, request: Request) -> None:
        """Accept a request, or refuse it."""
        refused = self._refused(request)
        if refused is not None:
            for _ in request.parts:
                self.outcome += (0, *refused)
            return
        commit, why = self.head + 1, (request.meta, request.correlation)
        for stream, events, _ in request.parts:
            version = self._versions.get(stream, 0)
            self.outcome += (version + 1, self.head + 1, 0)
            touched = self.streams.setdefault(stream, StreamTouched(self.head + 1))
            for name, data in events:
                self.head += 1
                version += 1
                self.events.append((self.head, commit, stream, version, name, self._created_us, data, *why))
            touched.events += len(events)
            touched.last_position, touched.last_name = self.head, events[-1][0]
            self._versions[stream] = version

    def _refused(self, request: Request) -> tuple[int, int] | None:
        """Which part is refused, from 1, and the version of its stream; None if none is."""
        added: dict[str, int] = {}
        for number, (stream, events, expected) in enumerate(request.parts, 1):
            version = self._versions.get(stream, 0) + added.get(stream, 0)
            if (NEVER if request.settled else expected) not in (None, version):
                return number, version
            added[stream] = added.get(stream, 0) + len(events)
        return None


def streams_of(batch: Sequence[Request]) -> list[str]:
    """The streams that a batch is about, each once."""
    parts: list[Part] = [part for request in batch for part in request.parts]
    return [*dict.fromkeys(stream for stream, _, _ in parts)]
