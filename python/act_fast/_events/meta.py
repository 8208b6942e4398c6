"""Why an event happened: the request it belongs to, and the action, actor and event that caused it."""

import copy
from typing import Any, Final, NoReturn

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast._events.finite import check_finite
from act_fast.errors import DecodeError, ValidationError

__all__ = [
    "NO_META",
    "ActionCause",
    "Actor",
    "Causation",
    "EventCause",
    "Meta",
    "check_actor",
    "decode_meta",
    "encode_meta",
    "meta_again",
    "own_actor",
]


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who does something.

    Attributes:
        id: identifies this actor.
        name: a name for people to read.
        extra: anything else worth keeping with the events, such as a role; must be JSON.
    """

    id: str
    name: str = ""
    extra: dict[str, Any] = {}


class ActionCause(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """The action that an event came from.

    Attributes:
        name: the action, as `State.action`.
        stream: the stream that it ran on.
        actor: who ran it; None if no actor was named.
        digest: of what was asked, if it was asked under a key: a repetition is told by it from another request.
        counts: how many events each call of a `do_many` under a key appended, if several were about one stream.
    """

    name: str
    stream: str
    actor: Actor | None = None
    digest: str = ""
    counts: tuple[int, ...] = ()


class EventCause(msgspec.Struct, frozen=True):
    """The event that a reaction was handling when it caused another one, and where that event is in the log."""

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
        correlation: the id shared by everything that came of one request.
        causation: what caused it.
        extra: anything else worth keeping; must be JSON.
    """

    correlation: str | None = None
    causation: Causation | None = None
    extra: dict[str, Any] = {}

    @property
    def action(self) -> ActionCause | None:
        """The action that it came from; None for events appended to the store directly."""
        return None if self.causation is None else self.causation.action

    @property
    def actor(self) -> Actor | None:
        """Who did it; None if no actor was named."""
        return None if self.action is None else self.action.actor

    @property
    def event(self) -> EventCause | None:
        """The event that a reaction was handling when it did this; None outside of reactions."""
        return None if self.causation is None else self.causation.event


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("the meta of a stored event cannot be changed; copy its extra: dict(event.meta.extra)")


class _Nothing(dict[str, Any]):
    """The `extra` of events that have none: they share it, so it cannot be changed."""

    __slots__ = ()

    __setitem__: Any = _refuse
    __ior__: Any = _refuse
    setdefault: Any = _refuse
    update: Any = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[()]]:
        return dict, ()


NO_META: Final = Meta(extra=_Nothing())
"""What an event has whose commit carries nothing. They all share it: one for each would cost a third of a query."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Meta).decode
_decode_actor = msgspec.json.Decoder(Actor).decode


def encode_meta(meta: Meta) -> bytes:
    """The meta as a store keeps it."""
    return b"{}" if meta is NO_META else _encode(meta)


def decode_meta(data: bytes) -> Meta:
    """The meta that a commit carries; an empty one when it carries none.

    Raises:
        DecodeError: it is something else.
    """
    try:
        return _decode(data) if data else NO_META
    except msgspec.MsgspecError as error:
        what, path = misfit(error)
        raise DecodeError(
            f"a commit's meta does not decode: {f'{path}: ' if path else ''}{what}; it was written by something else"
        ) from None


def meta_again(data: bytes, known: Meta) -> Meta:
    """The meta that a commit carries, for the next of its events: one of its own, as somebody may change what is in it.

    Args:
        data: the meta as it is stored.
        known: what `decode_meta` made of it, perhaps changed since.
    """
    # Without an actor, `extra` is the only part that can change. An escaped letter may hide either word.
    if b'"extra"' in data or b'"actor"' in data or b"\\" in data:
        return decode_meta(data)
    return Meta(known.correlation, known.causation)


def check_actor(actor: object) -> Actor:
    """A copy of an actor that can be read again from the events; what could not be would spoil them for good."""
    if not isinstance(actor, Actor):
        raise ValidationError(f"an actor is an Actor, not {type(actor).__name__}; write `Actor(id, name)`")
    try:
        encoded = _encode(actor)
        check_finite(actor, encoded)
        _decode_actor(encoded)
    except msgspec.ValidationError as error:
        what, path = misfit(error)
        raise ValidationError(f"an actor's {path}: {what}; write `Actor(id, name)` with text") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError(f"an actor must be JSON, but this one cannot be encoded: {error}") from None
    return own_actor(actor)


def own_actor(actor: Actor) -> Actor:
    """A copy of an actor, whose `extra` can be changed without anybody else seeing it."""
    if type(actor) is Actor and not actor.extra:
        return Actor(actor.id, actor.name)
    return copy.deepcopy(actor)
