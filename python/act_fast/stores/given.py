"""What is appended, as stores keep it, or a sentence about what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from act_fast._checks import arguments
from act_fast._checks.msgspec_errors import misfit
from act_fast._events.event import Event, encode
from act_fast._events.finite import check_finite
from act_fast._events.meta import Meta, encode_meta
from act_fast._rows import ConditionRow, EventPair, OnceRow
from act_fast.errors import ValidationError
from act_fast.stores.append_condition import Condition, condition_row
from act_fast.stores.values import Append, NewEvent

__all__ = [
    "Guards",
    "cause_of",
    "conditions_in",
    "guards_of",
    "part",
    "parts_of",
    "versions_in",
]

_decode_meta: Final = msgspec.json.Decoder(Meta).decode


def parts_of(appends: Sequence[Append]) -> list[tuple[str, list[EventPair], int | None]]:
    """The parts of a commit."""
    if not isinstance(appends, Sequence) or not all(isinstance(each, Append) for each in appends):
        raise ValidationError("append_many takes a sequence of Append(stream, events, expected_version)")
    return [part(each.stream, each.events, each.expected_version) for each in appends]


def part(
    stream: str, events: Sequence[NewEvent], expected_version: int | None
) -> tuple[str, list[EventPair], int | None]:
    """One stream's part of a commit."""
    if not isinstance(events, Sequence) or isinstance(events, str | bytes):
        raise ValidationError(f"events must be a sequence, not {type(events).__name__}; put a single event in brackets")
    return (
        arguments.text("stream", stream),
        [_pair(event) for event in events],
        arguments.optional_count("expected_version", expected_version),
    )


def conditions_in(condition: Condition | None, appends: Sequence[Append] = ()) -> list[ConditionRow] | None:
    """The conditions of a commit; None if there are none."""
    given = [each.condition for each in appends if each.condition is not None]
    if condition is not None:
        given.insert(0, condition)
    return [condition_row(each) for each in given] or None


def versions_in(expected: Mapping[str, int] | None) -> list[tuple[str, int]] | None:
    """The versions that a commit expects of streams that it need not write to; None if there are none."""
    if not expected:
        return None
    if not isinstance(expected, Mapping):
        raise ValidationError(f"expected_versions must map streams to versions, not be a {type(expected).__name__}")
    return [
        (arguments.text("stream", stream), arguments.count("expected_version", version))
        for stream, version in expected.items()
    ]


Guards: TypeAlias = tuple[Sequence[tuple[str, int]], Sequence[ConditionRow], OnceRow | None]
"""What must hold for a commit besides the versions of its own streams: versions of streams, conditions, and its key"""


def guards_of(
    expected: Mapping[str, int] | None, condition: Condition | None, appends: Sequence[Append] = ()
) -> Guards | None:
    """Both together, without a key; None where there is neither."""
    versions, conditions = versions_in(expected), conditions_in(condition, appends)
    return None if versions is None and conditions is None else (versions or (), conditions or (), None)


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


def _pair(event: NewEvent) -> EventPair:
    if isinstance(event, Event):
        return encode(event)
    if not isinstance(event, tuple) or len(event) not in (2, 3):
        raise ValidationError(
            f"an event must be an Event, a pair (name, data) or (name, data, tags), not {type(event).__name__}"
        )
    name, data, *tags = event
    if not isinstance(data, bytes):
        raise ValidationError(f"the data of {name!r} must be JSON encoded as bytes, not {type(data).__name__}")
    name = arguments.text("an event's name", name)
    found = [*dict.fromkeys(arguments.texts("tags", tags[0]))] if tags else []
    return (name, data, found) if found else (name, data)
