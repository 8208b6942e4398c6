"""From the log's bytes to events: one decoder for each stored name, with the upcasters built in."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast._events.committed import Committed
from act_fast._events.event import Event, encode
from act_fast._events.upcast import Upcast
from act_fast.errors import DecodeError, DefinitionError

__all__ = ["Codec", "Decode", "decoders_of"]

Decode: TypeAlias = Callable[[bytes], Event]


class Codec:
    """The events that an app knows, by their stored names.

    Attributes:
        decoders: for each stored name, today's or an old one that an upcaster takes, what decodes it.
        classes: for each stored name, the class of the event that comes out.
    """

    def __init__(self, events: Iterable[type[Event]]) -> None:
        self.decoders: dict[str, Decode] = {}
        self.classes: dict[str, type[Event]] = {}
        for event in events:
            for name, decode in decoders_of(event).items():
                self._claim(name, event)
                self.decoders[name] = decode

    def decode(self, name: str, data: bytes) -> Event:
        """The event that a stored name and its JSON stand for.

        Raises:
            DecodeError: the name is unknown, or the data does not fit the event's class.
        """
        decode = self.decoders.get(name)
        if decode is None:
            raise DecodeError(
                f"no event is stored as {name!r} here; register the state it belongs to, or keep the old name with"
                f" `name={name!r}` or `@upcast(from_={name!r})`"
            )
        try:
            return decode(data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise undecodable(self.classes[name], name, error) from None

    def committed(self, found: Committed[bytes]) -> Committed[Event]:
        """An event as the store holds it, with its data as an event of today."""
        try:
            data = self.decode(found.name, found.data)
        except DecodeError as error:
            raise DecodeError(f"{error} (version {found.version} of stream {found.stream!r})") from None
        except Exception as error:  # an upcaster may raise anything
            error.add_note(f"while decoding {found.name}, version {found.version} of stream {found.stream!r}")
            raise
        return Committed(
            data,
            found.name,
            found.stream,
            found.version,
            found.position,
            found.created,
            found.meta,
            found.tags,
        )

    def upcasted(self, name: str, data: bytes) -> tuple[str, bytes]:
        """The stored name and JSON that an event would have if it were appended today."""
        event = self.classes.get(name)
        if event is None or (name not in event.__upcasts__ and name == event.__stored_name__):
            return name, data
        name, data, *_ = encode(self.decode(name, data))
        return name, data

    def _claim(self, name: str, event: type[Event]) -> None:
        other = self.classes.setdefault(name, event)
        if other is not event:
            raise DefinitionError(
                f"events stored as {name!r} are claimed by {_where(other)} and by {_where(event)}; rename one with"
                " name=, or leave the old ones to an upcaster and take their class out of the state"
            )


def undecodable(event: type[Event], name: str, error: msgspec.MsgspecError | RecursionError) -> DecodeError:
    """The error for data that does not fit its event's class."""
    if isinstance(error, RecursionError):
        return DecodeError(
            f"an event stored as {name!r} does not decode as {_where(event)}: it has too many lists and objects inside"
            " each other"
        )
    what, path = misfit(error, event)
    where = f"field {path!r}: " if path else ""
    return DecodeError(
        f"an event stored as {name!r} does not decode as {_where(event)}: {where}{what};"
        " give new fields a default, or write an upcaster"
    )


def decoders_of(event: type[Event], path: tuple[type[Event], ...] = ()) -> dict[str, Decode]:
    """For each stored name that can become an event of this class, what decodes it.

    Args:
        event: the class.
        path: the classes that led here, from upcaster to upcaster.
    """
    if event in path:
        raise DefinitionError(f"the upcasters of {_where(event)} form a cycle; let one of them take a dict")
    own: Decode = msgspec.json.Decoder(event).decode
    found: dict[str, Decode] = {event.__stored_name__: own}
    for each in event.__upcasts__.values():
        takes, _ = each._hints()
        if isinstance(takes, type) and issubclass(takes, Event) and takes is not event:
            for name, decode in decoders_of(takes, (*path, event)).items():
                found[name] = _through(each, decode, own)
        if each.from_ not in found or each.from_ == event.__stored_name__:
            found[each.from_] = _through(each, msgspec.json.Decoder(takes).decode, own)
    return found


def _through(each: Upcast[Any, Any], decode_old: Callable[[bytes], Any], decode_new: Decode) -> Decode:
    """Decode, upcast, and decode again what came out: an upcaster's result is checked like anything stored."""
    encode_json = msgspec.json.Encoder().encode
    function = each.function

    def decode(data: bytes) -> Event:
        return decode_new(encode_json(function(decode_old(data))))

    return decode


def _where(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
