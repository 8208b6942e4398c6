"""From the log's bytes to events: one decoder for each stored name, with the upcasters built in."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast._events.committed import Committed
from act_fast._events.event import Event, encode, known_tagging, known_wire
from act_fast._events.finite import check_finite
from act_fast._events.gone import GONE
from act_fast._events.sealing import (
    AllForgotten,
    Found,
    Sealer,
    Wire,
    check_hidden,
    check_marks,
    keep_forgotten,
    open_all,
    sealed_values,
    wire_of,
)
from act_fast._events.tags import tags_of
from act_fast._events.upcast import Upcast
from act_fast._rows import EventPair
from act_fast.errors import DecodeError, DefinitionError, ValidationError

__all__ = ["Codec", "Decode", "decoders_of", "takes_personal"]

Decode: TypeAlias = Callable[[bytes], Event]


class Codec:
    """The events that an app knows, by their stored names.

    Args:
        events: their classes.
        sealer: what seals and opens personal values; None in an app without any.

    Attributes:
        decoders: for each stored name, today's or an old one that an upcaster takes, what decodes it.
        classes: for each stored name, the class of the event that comes out.
    """

    def __init__(self, events: Iterable[type[Event]], sealer: Sealer | None = None) -> None:
        self.sealer: Sealer | None = sealer
        self.decoders: dict[str, Decode] = {}
        self.classes: dict[str, type[Event]] = {}
        self._first: dict[str, Wire] = {}
        self._forgotten: dict[str, Decode] = {}
        for event in events:
            for name, stored in decoders_of(event, sealer=sealer).items():
                self._claim(name, event)
                self.decoders[name] = stored.decode
                if stored.wire is not None and stored.wire is not known_wire(event):
                    self._first[name] = stored.wire

    @property
    def personal(self) -> frozenset[str]:
        """The stored names of events that have personal fields, if only before an upcaster takes them."""
        return frozenset(filter(self._is_personal, self.classes))

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
            if data in GONE:
                raise DecodeError(f"an event stored as {name!r} has no data any more: it is {data.decode()}") from None
            raise undecodable(self.classes[name], name, error) from None

    def committed_each(self, found: Iterable[Committed[bytes]]) -> Iterator[Committed[Event]]:
        """The same of several; those whose data is gone are left out."""
        return (self.committed(each) for each in found if each.data not in GONE)

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
        if event is None or not _is_upcast(name, event):
            return name, data
        name, data, *_ = self.encode(self.decode(name, data))
        return name, data

    def outside(self, name: str, data: bytes) -> tuple[str, bytes]:
        """The same for whoever is outside: personal fields are null."""
        event = self.classes.get(name)
        if event is None or known_wire(event) is None or data in GONE:
            return self.upcasted(name, data)
        found = self.decode(name, data)
        wire = known_wire(type(found))
        return type(found).__stored_name__, encode(found)[1] if wire is None else wire.blank(found)

    def encode(self, event: Event, stream: str | None = None) -> EventPair:
        """An event as a store takes it, its personal values sealed.

        Raises:
            ValidationError: it cannot be stored.
            SubjectForgottenError: it is about someone who was forgotten.
        """
        wire = known_wire(type(event)) if isinstance(event, Event) else None
        return encode(event) if wire is None else self.sealed(event, wire, stream)[1]

    def sealed(self, event: Event, wire: Wire, stream: str | None) -> tuple[Event, EventPair]:
        """An event with personal fields as it will be read again, and as a store takes it.

        Raises:
            ValidationError: it cannot be stored; or, as what msgspec raises, its values are not of their types.
            SubjectForgottenError: it is about someone who was forgotten.
        """
        kind, sealer = type(event), self.sealer
        if sealer is None:
            raise ValidationError(f"{kind.__qualname__} has personal fields; open the app with keys= to seal them")
        name = kind.__stored_name__
        again, clear = wire.again(event, name)
        if kind.__floats__:
            check_finite(event, clear)
        check_marks(event, clear)
        seen: list[Found] = []
        data = wire.sealed(event, name, sealer, seen)
        tags = tags_of(event, tagging) if (tagging := known_tagging(kind)) else []
        check_hidden(seen, stream, tags)
        if wire.looks_up:
            wanted = [each for each in seen if each.leaf.lookup]
            tags += [f"{each.leaf.path}:{sealer.lookup(each.leaf.path.encode(), each.plain)}" for each in wanted]
        return again, (name, data, tags) if tags else (name, data)

    def may_open(self, event: type[Event]) -> bool:
        """Whether an upcaster of an event may be given personal values, which what it makes then tells of."""
        return self.sealer is not None and takes_personal(event)

    def may_tell(self, name: str) -> bool:
        """Whether events stored under a name may tell of personal values, if only of those an upcaster was given."""
        event = self.classes[name]
        return known_wire(event) is not None or self.may_open(event)

    def gives_away(self, name: str, data: bytes, event: Event) -> bool:
        """Whether upcasters have put something of sealed values where the event of today is not personal.

        What the event says in clear is compared with what it would say if everyone were forgotten. If the upcasters
        cannot do without the values, nothing is known, and so they are taken to be in clear.

        Args:
            name: the stored name.
            data: the JSON.
            event: what they stand for.
        """
        kind = self.classes[name]
        if b'"$' not in data or data in GONE or not (_is_upcast(name, kind) and self.may_open(kind)):
            return False
        decode = self._forgotten.get(name)
        if decode is None:
            decode = self._forgotten[name] = decoders_of(kind, sealer=AllForgotten())[name].decode
        try:
            return _in_clear(decode(data)) != _in_clear(event)
        except Exception:  # an upcaster may raise anything
            return True

    def values(self, name: str, data: bytes, subject: str | None = None) -> Iterator[Any]:
        """The personal values of a stored event, also those that only an upcaster is given: of a subject, or of all.

        Raises:
            DecodeError: it does not decode, so the others are not known.
        """
        if self.sealer is not None:
            yield from sealed_values(name, data, self.sealer, "" if subject is None else self.sealer.id_of(subject))
        if not self._is_personal(name):
            return
        read: list[Any] = [self.decode(name, data)]
        if name in self._first:
            read.append(self._first[name].opened(data, name, self.sealer))
        for each in read:
            wire = wire_of(type(each))
            for found in wire.values(each) if wire is not None else ():
                if subject is None or found.subject == subject:
                    yield found.value

    def _is_personal(self, name: str) -> bool:
        event = self.classes.get(name)
        return event is not None and (name in self._first or known_wire(event) is not None)

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


class _Stored(NamedTuple):
    """How what is stored under a name becomes an event: what decodes it, and the personal fields that it has there."""

    decode: Decode
    wire: Wire | None


def decoders_of(
    event: type[Event], path: tuple[type[Event], ...] = (), sealer: Sealer | None = None
) -> dict[str, _Stored]:
    """For each stored name that can become an event of this class, what decodes it.

    Args:
        event: the class.
        path: the classes that led here, from upcaster to upcaster.
        sealer: what opens personal values.
    """
    if event in path:
        raise DefinitionError(f"the upcasters of {_where(event)} form a cycle; let one of them take a dict")
    own: Decode = _decoder(event, event.__stored_name__, sealer)
    found = {event.__stored_name__: _Stored(own, _known(event))}
    for each in event.__upcasts__.values():
        takes, _ = each._hints()
        if isinstance(takes, type) and issubclass(takes, Event) and takes is not event:
            for name, stored in decoders_of(takes, (*path, event), sealer).items():
                found[name] = _Stored(_through(each, stored.decode, own), stored.wire)
        if each.from_ not in found or each.from_ == event.__stored_name__:
            decode = _decoder(takes, each.from_, sealer)
            wire = _known(takes) if isinstance(takes, type) and issubclass(takes, msgspec.Struct) else None
            found[each.from_] = _Stored(_through(each, decode, own), wire)
    return found


def _decoder(takes: Any, name: str, sealer: Sealer | None) -> Decode:
    """What decodes JSON stored under a name as a class, or for an upcaster that takes a dict."""
    decode: Decode = msgspec.json.Decoder(takes).decode
    if isinstance(takes, type) and issubclass(takes, msgspec.Struct):
        wire = _known(takes)
        return decode if wire is None else lambda data: wire.opened(data, name, sealer)
    if sealer is None:
        return decode
    return lambda data: open_all(name, decode(data), sealer) if b'"$' in data else decode(data)


def _known(cls: type) -> Wire | None:
    try:
        return wire_of(cls)
    except NameError:  # said elsewhere
        return None


def takes_personal(event: type[Event], path: tuple[type[Event], ...] = ()) -> bool:
    """Whether an upcaster on the way to an event takes a class with personal fields, or whatever there is."""
    for each in event.__upcasts__.values():
        takes, _ = each._hints()
        if not (isinstance(takes, type) and issubclass(takes, msgspec.Struct)) or _known(takes) is not None:
            return True
        if issubclass(takes, Event) and takes not in (event, *path) and takes_personal(takes, (*path, event)):
            return True
    return False


def _is_upcast(name: str, event: type[Event]) -> bool:
    """Whether an upcaster makes an event of what is stored under a name."""
    return name in event.__upcasts__ or name != event.__stored_name__


def _in_clear(event: Event) -> bytes:
    """What an event says outside of its personal fields."""
    wire = known_wire(type(event))
    return encode(event)[1] if wire is None else wire.blank(event)


def _through(each: Upcast[Any, Any], decode_old: Callable[[bytes], Any], decode_new: Decode) -> Decode:
    """Decode, upcast, and decode again what came out: an upcaster's result is checked like anything stored."""
    encode_json = msgspec.json.Encoder().encode
    function = each.function
    personal = _known(each.target) is not None

    def decode(data: bytes) -> Event:
        if data in GONE:  # which the function might take for something
            return decode_new(data)
        new = function(decode_old(data))
        return decode_new(encode_json(keep_forgotten(new) if personal else new))

    return decode


def _where(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
