"""What is appended, as stores keep it, or a sentence about what is wrong with it."""

from collections.abc import Sequence
from typing import Final

import msgspec

from act_fast._checks import arguments
from act_fast._checks.msgspec_errors import misfit
from act_fast._events.event import Event, encode
from act_fast._events.finite import check_finite
from act_fast._events.meta import Meta, encode_meta
from act_fast.errors import ValidationError
from act_fast.stores.values import Append, NewEvent

__all__ = ["cause_of", "part", "parts_of"]

_decode_meta: Final = msgspec.json.Decoder(Meta).decode


def parts_of(appends: Sequence[Append]) -> list[tuple[str, list[tuple[str, bytes]], int | None]]:
    """The parts of a commit."""
    if not isinstance(appends, Sequence) or not all(isinstance(each, Append) for each in appends):
        raise ValidationError("append_many takes a sequence of Append(stream, events, expected_version)")
    return [part(each.stream, each.events, each.expected_version) for each in appends]


def part(
    stream: str, events: Sequence[NewEvent], expected_version: int | None
) -> tuple[str, list[tuple[str, bytes]], int | None]:
    """One stream's part of a commit."""
    if not isinstance(events, Sequence) or isinstance(events, str | bytes):
        raise ValidationError(f"events must be a sequence, not {type(events).__name__}; put a single event in brackets")
    return (
        arguments.text("stream", stream),
        [_pair(event) for event in events],
        arguments.optional_count("expected_version", expected_version),
    )


def cause_of(meta: Meta) -> bytes:
    """What a commit carries besides its events."""
    if not isinstance(meta, Meta):
        raise ValidationError(f"meta must be a Meta, not {type(meta).__name__}")
    try:
        encoded = encode_meta(meta)
        check_finite(meta, encoded)
        _decode_meta(encoded)  # what could not be read again would spoil the events for good
        return encoded
    except msgspec.ValidationError as error:
        what, path = misfit(error)
        raise ValidationError(f"meta.{path}: {what}") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError(f"meta cannot be encoded as JSON: {error}") from None


def _pair(event: NewEvent) -> tuple[str, bytes]:
    if isinstance(event, Event):
        return encode(event)
    if not isinstance(event, tuple) or len(event) != 2:
        raise ValidationError(f"an event must be an Event or a pair (name, data), not {type(event).__name__}")
    name, data = event
    if not isinstance(data, bytes):
        raise ValidationError(f"the data of {name!r} must be JSON encoded as bytes, not {type(data).__name__}")
    return arguments.text("an event's name", name), data
