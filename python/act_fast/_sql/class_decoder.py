"""Events that do not have the shape of their class as they stand, read by the class itself."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from act_fast._events.codec import Codec
from act_fast._events.event import known_wire
from act_fast._events.gone import GONE
from act_fast._runtime.logger import log
from act_fast.errors import DecodeError

__all__ = ["ClassDecoder", "Told", "warn_of_failures"]

Told: TypeAlias = Callable[[str, int], object]
"""Called with the name of a view and how many of its events could not be read."""


class ClassDecoder:
    """What an event means is for its class to say, with all its upcasters and defaults.

    Attributes:
        failed: how many events could not be read when they were read last.
    """

    def __init__(self, codec: Codec, view: str, told: Told) -> None:
        self.failed = 0
        self._gone = 0
        self._codec = codec
        self._view = view
        self._told = told
        self._encode = msgspec.json.Encoder().encode

    def decode(self, events: list[tuple[str, bytes]], /) -> Sequence[bytes | str]:
        """For each event (stored name, data): its JSON as of today, or in words why there is none."""
        return [self._one(name, data) for name, data in events]

    def ended(self, failed: int, /) -> None:
        """So many events could not be read. Those whose data is gone are no failures."""
        self.failed, self._gone = max(failed - self._gone, 0), 0
        if self.failed:
            self._told(self._view, self.failed)

    def _one(self, name: str, data: bytes) -> bytes | str:
        if data in GONE:
            self._gone += 1
        try:
            event = self._codec.decode(name, data)
            wire = known_wire(type(event))
            return self._encode(event) if wire is None else wire.blank(event)
        except DecodeError as error:
            return str(error)
        except Exception as error:  # an upcaster may raise anything, and its message may carry what it was given
            return f"an event stored as {name!r} does not decode: its upcaster raised {type(error).__name__}"


def warn_of_failures(view: str, failed: int) -> None:
    """Say how many events of a view could not be read."""
    log.warning(
        "%d events of %s do not decode, so their fields are null; the column error says why: `select error, count(*)"
        " from %s group by error`",
        failed,
        view,
        view,
    )
