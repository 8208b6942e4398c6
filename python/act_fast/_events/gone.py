"""Events whose data is gone: what stands in its place, and which events hold a whole state."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

__all__ = [
    "BOOKS",
    "CLOSED",
    "GONE",
    "PRUNED",
    "REDACTED",
    "RESTARTED",
    "REWRITINGS",
    "Rewritten",
    "held_state",
    "rewritten",
    "state_event",
]

CLOSED = "$closed"
"""The stored name of the event that ends a stream. Names that begin with $ are the framework's own."""

RESTARTED = "$restarted"
"""The stored name of the event that closes a stream's books: folding goes on from the state that it holds."""

BOOKS: Final = (CLOSED, RESTARTED)
"""What may hold a state, below which a stream can be pruned."""

REWRITINGS = "$rewritings"
"""The stream that tells what was redacted and pruned."""

PRUNED: Final = b'"pruned"'
"""The data of an event that was pruned. No event of a class is text, so this is none."""

REDACTED: Final = b'"redacted"'
"""The data of an event that was redacted as a whole."""

GONE: Final = frozenset((PRUNED, REDACTED))


class _Held(msgspec.Struct):
    state: msgspec.Raw


class Rewritten(msgspec.Struct, frozen=True):
    """How many events were pruned, how many bytes of data they had, and how many events were redacted."""

    pruned: int = 0
    pruned_bytes: int = 0
    redacted: int = 0


class _Told(msgspec.Struct):
    events: int = 0
    bytes: int = 0
    positions: list[tuple[int, int]] = []


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Held).decode


def state_event(state: Any) -> bytes:
    """The data of an event that holds a state."""
    return _encode({"state": state})


def held_state(data: bytes) -> msgspec.Raw | None:
    """The JSON of the state that such an event holds; None where it holds none, or is gone."""
    try:
        return _decode(data).state
    except msgspec.MsgspecError:
        return None


def rewritten(told: Iterable[tuple[str, bytes]]) -> Rewritten:
    """What the events of `REWRITINGS`, name and data, come to."""
    pruned = pruned_bytes = redacted = 0
    for name, data in told:
        found = msgspec.json.decode(data, type=_Told)
        if name == "$pruned":
            pruned += found.events
            pruned_bytes += found.bytes
        elif name == "$redacted":
            redacted += sum(last - first + 1 for first, last in found.positions)
    return Rewritten(pruned, pruned_bytes, redacted)
