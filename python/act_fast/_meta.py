"""Why an event happened: the request it belongs to, and the action, actor and event that caused it."""

from typing import Any

import msgspec

__all__ = ["ActionCause", "Actor", "Causation", "EventCause", "Meta", "decode_meta", "encode_meta"]


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who does something.

    Attributes:
        id: what tells this actor from all others.
        name: what people call it.
        extra: anything else worth keeping with the events, such as a role; must be JSON.
    """

    id: str
    name: str = ""
    extra: dict[str, Any] = {}


class ActionCause(msgspec.Struct, frozen=True, omit_defaults=True):
    """The action that an event came from, written `State.action`, the stream it was done on, and by whom."""

    name: str
    stream: str
    actor: Actor | None = None


class EventCause(msgspec.Struct, frozen=True):
    """The event that a reaction was handling when it caused another one, and where it is in the log."""

    name: str
    stream: str
    position: int
    version: int


class Causation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What caused an event: always an action, and inside a reaction also an event."""

    action: ActionCause | None = None
    event: EventCause | None = None


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a commit carries besides its events.

    Attributes:
        correlation: the id shared by everything that one request set off.
        causation: what caused it.
        extra: anything else worth keeping; must be JSON.
    """

    correlation: str | None = None
    causation: Causation | None = None
    extra: dict[str, Any] = {}


encode_meta = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Meta).decode


def decode_meta(data: bytes) -> Meta:
    """The meta that a commit carries; an empty one when it carries none."""
    return _decode(data) if data else Meta()
