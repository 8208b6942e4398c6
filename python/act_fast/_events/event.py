"""Events: immutable facts, declared as classes."""

import sys
from contextlib import suppress
from typing import Any, ClassVar, dataclass_transform

import msgspec

from act_fast._checks.class_bodies import body_at
from act_fast._checks.class_keywords import check_keywords
from act_fast._checks.msgspec_errors import misfit
from act_fast._checks.pydantic_types import core_schema_of, json_schema_of
from act_fast._events.constant_defaults import check_body, check_constant
from act_fast._events.fields import check_annotated, check_fields, fields_with_hint
from act_fast._events.finite import check_finite, may_hold_floats
from act_fast._events.sealing import Wire, mask, wire_of
from act_fast._events.tags import UNKNOWN, Tagging, tagging_of, tags_of
from act_fast._events.upcast import Upcast, add_upcast
from act_fast._rows import EventPair
from act_fast.errors import DefinitionError, ValidationError

__all__ = ["Event", "EventMeta", "encode", "holds_floats", "known_tagging", "known_wire", "tagged"]

_NAME_BYTES_MAX = 512
_encode = msgspec.json.Encoder().encode
_any_json = msgspec.json.Decoder()


class EventMeta(msgspec.StructMeta):
    """Makes event classes: frozen, named for the log, and of fields that can be stored."""

    __floats__: bool
    __decoder__: msgspec.json.Decoder[Any] | None
    __tagging__: Tagging
    __wire__: Wire | bool | None

    def __new__(
        metacls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        name: str | None = None,
        **config: Any,
    ) -> "EventMeta":
        check_keywords(class_name, config, ("name",))
        namespace["__stored_name__"] = _stored_name(class_name, name)
        namespace["__upcasts__"] = {}
        namespace["__floats__"] = True
        namespace["__decoder__"] = None
        namespace["__tagging__"] = UNKNOWN
        namespace["__wire__"] = True
        with fields_with_hint(class_name, namespace):
            cls = super().__new__(metacls, class_name, bases, namespace, **config)
        _check_shape(cls)
        check_body(cls, body_at(sys._getframe(1), namespace))
        check_annotated(class_name, namespace)
        for member in namespace.values():
            if isinstance(member, Upcast):
                add_upcast(cls, member)
        check_fields(cls)
        with suppress(NameError):  # a field may name a class that is defined later; looked at again for an app
            check_constant(cls)
        holds_floats(cls)
        with suppress(NameError):
            cls.__tagging__ = tagging_of(cls)
        known_wire(cls)
        return cls


def holds_floats(event: EventMeta) -> bool:
    """Whether events of a class may hold a float or a decimal number; kept, so that encoding need not ask."""
    with suppress(NameError):  # until each field's type is there, it may
        event.__floats__ = may_hold_floats(event)
    return event.__floats__


def known_wire(event: EventMeta) -> Wire | None:
    """How events of a class with personal fields are sealed; None if it has none, as far as its annotations tell."""
    found = event.__wire__
    if isinstance(found, bool):
        with suppress(NameError):  # a field may name a class that is defined later
            found = event.__wire__ = wire_of(event)
            if found is not None:
                mask(event)
    return None if isinstance(found, bool) else found


def _stored_name(class_name: str, name: str | None) -> str:
    if name is None:
        return class_name
    if not isinstance(name, str) or not name or "\0" in name or "\n" in name or name.startswith("$"):
        raise DefinitionError(
            f"event {class_name}: name={name!r} cannot be a stored name; it must be text, neither empty nor"
            " with NUL or newline in it, and not begin with $"
        )
    if len(name.encode()) > _NAME_BYTES_MAX:
        raise DefinitionError(f"event {class_name}: name= is longer than {_NAME_BYTES_MAX} bytes; give a shorter one")
    return name


def _check_shape(cls: type) -> None:
    config = cls.__struct_config__  # type: ignore[attr-defined]
    if not config.frozen:
        raise DefinitionError(f"event {cls.__qualname__} is not frozen, but facts do not change; remove frozen=False")
    if config.dict:
        raise DefinitionError(f"event {cls.__qualname__} has dict=True, but only fields are stored; remove it")
    if config.array_like:
        raise DefinitionError(
            f"event {cls.__qualname__} is array_like, so its fields would have no names in the log; remove array_like"
        )


# Said of the class, since type checkers look there before they look at the metaclass.
@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Event(msgspec.Struct, frozen=True, metaclass=EventMeta):
    """The base of all events. A subclass declares the fields; its instances never change.

    The class keyword `name=` sets the event's name in the log; by default it is the class's own name. The module of the
    class does not matter. All other keywords are those of `msgspec.Struct`.

        class Deposited(Event, name="Deposited"):
            amount: int
    """

    __stored_name__: ClassVar[str]
    __upcasts__: ClassVar[dict[str, Upcast[Any, Any]]]
    __floats__: ClassVar[bool]
    __decoder__: ClassVar[msgspec.json.Decoder[Any] | None]
    __tagging__: ClassVar[Tagging]
    __wire__: ClassVar[Wire | bool | None]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return core_schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        return json_schema_of(cls)


def encode(event: Event) -> EventPair:
    """The event's name in the log and its data as JSON, which has been decoded once: a constructor checks nothing.

    Behind them are its tags, if it has any.

    Raises:
        ValidationError: it holds what its class does not allow, or what is not JSON, such as a float that is no number.
        TypeError: it is no event.
    """
    if not isinstance(event, Event):
        raise TypeError(f"{type(event).__name__} is not an event")
    if event.__wire__ is not None:
        _refuse_personal(type(event))
    try:
        data = _encode(event)
        if event.__floats__:
            check_finite(event, data)
    except msgspec.ValidationError as error:
        raise _wrong(event, error) from None
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise ValidationError(f"event {type(event).__qualname__} cannot be encoded as JSON: {error}") from None
    try:
        (event.__decoder__ or _decoder(type(event))).decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and _is_json(data):
            raise _wrong(event, error) from None
        # A part that it was given as JSON is none; whoever keeps it says what is wrong there.
    return tagged(event, data) if event.__tagging__ else (event.__stored_name__, data)


def tagged(event: Event, data: bytes) -> EventPair:
    """An event's name and data with its tags, of a class that may have some."""
    kind = type(event)
    tags = tags_of(event, known_tagging(kind))
    return (kind.__stored_name__, data, tags) if tags else (kind.__stored_name__, data)


def known_tagging(event: EventMeta) -> Tagging:
    """The fields of an event class that are tags; none for as long as an annotation names what is not there yet."""
    if event.__tagging__ is UNKNOWN:
        with suppress(NameError):  # a field may name a class that is defined later
            event.__tagging__ = tagging_of(event)
    return () if event.__tagging__ is UNKNOWN else event.__tagging__


def _refuse_personal(event: EventMeta) -> None:
    """Refuse to encode what has to be sealed, with nothing at hand to seal it with."""
    unknown = isinstance(event.__wire__, bool) and "Personal[" in str(getattr(event, "__annotations__", ""))
    if unknown or known_wire(event) is not None:
        raise ValidationError(
            f"event {event.__qualname__} has personal fields, which only an app with keys= seals; append it with an"
            " action or a decision of the app, and not through the store"
        )


def _decoder(event: EventMeta) -> msgspec.json.Decoder[Any]:
    """What decodes events of a class; kept."""
    try:
        event.__decoder__ = msgspec.json.Decoder(event)
    except NameError:  # until each field's type is there, nothing can be said
        return _any_json
    return event.__decoder__


def _is_json(data: bytes) -> bool:
    try:
        _any_json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _wrong(event: Event, error: msgspec.ValidationError) -> ValidationError:
    what, path = misfit(error, type(event))
    return ValidationError(f"event {type(event).__qualname__}: {f'field {path!r}: ' if path else ''}{what}")
