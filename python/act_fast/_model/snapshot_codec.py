"""Snapshots in the store: a state as JSON, with a mark of the definitions that it was folded by."""

import hashlib
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast._checks.round_trip import difference
from act_fast._declared.tree import trees_as_data
from act_fast._events.event import Event
from act_fast._events.fields import structs_in
from act_fast._model.code_mark import code_of
from act_fast._states.definition import Definition
from act_fast.errors import DecodeError, DefinitionError

__all__ = ["StateCodec", "mark_of"]

S = TypeVar("S")

_json: Final = msgspec.json.Encoder(order="sorted")


class _Stored(msgspec.Struct):
    """What a snapshot's bytes hold: the mark, and the state's own JSON."""

    mark: str
    state: msgspec.Raw


class StateCodec(Generic[S]):
    """Encodes and decodes the snapshots of one state class."""

    def __init__(self, definition: Definition[Any], names: list[str]) -> None:
        state: type[S] = definition.state
        self._decode_state = msgspec.json.Decoder(state).decode
        self._decode = msgspec.json.Decoder(_Stored).decode
        self._encode = msgspec.json.Encoder().encode
        self._definition = definition
        self._names = names

    @cached_property
    def mark(self) -> str:
        """Changes with whatever a state is folded by: fields and their defaults, events, upcasters and reducers.

        A state that was folded by other definitions would decode all the same, and be wrong.
        """
        return mark_of(self._definition, self._names)

    @cached_property
    def beginning(self) -> bytes:
        """What the bytes of each snapshot with this mark begin with, and those of no other."""
        return self._encode(_Stored(self.mark, msgspec.Raw(b"0"))).removesuffix(b"0}")

    def encode(self, state: S) -> bytes:
        """A state as a snapshot's bytes.

        Raises:
            DefinitionError: the reducers have put something in it that is not JSON, or that comes back as something
                else.
        """
        name = self._definition.name
        try:
            data = self._encode(state)
            changed = difference(state, self._decode_state(msgspec.Raw(data)), name)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise DefinitionError(
                f"a state of {name} cannot be stored: {_said(error)}; fix the reducer that made it so"
            ) from None
        if changed is not None:
            raise DefinitionError(
                f"a state of {name} cannot be stored: {changed} from JSON; let the field's type say what it holds, or"
                " the reducer put there what JSON has"
            )
        return self._encode(_Stored(self.mark, msgspec.Raw(data)))

    def decode(self, data: bytes) -> S:
        """The state in a snapshot's bytes.

        Raises:
            DecodeError: it was folded by other definitions, or does not decode.
        """
        try:
            stored = self._decode(data)
            if stored.mark != self.mark:
                raise DecodeError("it was folded by other definitions of the state")
            return self._decode_state(stored.state)
        except msgspec.MsgspecError:
            raise DecodeError("it does not decode") from None


def mark_of(definition: Definition[Any], names: list[str]) -> str:
    """A word for everything that the states of a class are folded by.

    Args:
        definition: the state class's own.
        names: the stored names that are folded.
    """
    folded = sorted(
        (
            event.__stored_name__,
            _shape(event),
            _upcasts(event, ()),
            code_of(reduce, (definition.state, event)),
            definition.copied.get(event, []),
        )
        for event, reduce in definition.reducers.items()
    )
    said = [definition.snapshot_version, _shape(definition.state), _begun(definition.state), folded, sorted(names)]
    if definition.plan is not None:
        said.append(trees_as_data(definition.plan.trees))
    return hashlib.sha256(_json.encode(said)).hexdigest()[:16]


def _upcasts(event: type[Event], path: tuple[type[Event], ...]) -> Any:
    """The upcasters of an event, and those that come before them."""
    found = []
    for name, each in sorted(event.__upcasts__.items()):
        takes, _ = each._hints()
        before: Any = None
        if isinstance(takes, type) and issubclass(takes, msgspec.Struct):
            before = [_shape(takes), []]
            if issubclass(takes, Event) and takes not in (event, *path):
                before[1] = _upcasts(takes, (*path, event))
        found.append([name, code_of(each.function, (takes,) if before else ()), before])
    return found


def _begun(state: type[Any]) -> str:
    """The state of a stream without events, which is what its fields' defaults make."""
    try:
        return _json.encode(state()).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ""


def _shape(cls: type[Any]) -> Any:
    """What JSON of a class looks like, whatever the class is called and wherever it lives, and what completes it."""
    schema = msgspec.json.schema(cls)
    return [_unnamed(schema, schema.get("$defs", {}), {}), [_completed(each) for each in structs_in(cls)]]


def _completed(cls: type[Any]) -> Any:
    """What is in no schema, and yet in every instance: what factories make, and what `__post_init__` does."""
    made = [
        [field.encode_name, code_of(field.default_factory)]
        for field in msgspec.structs.fields(cls)
        if field.default_factory is not msgspec.NODEFAULT
    ]
    after = getattr(cls, "__post_init__", None)
    return [made, None if after is None else code_of(after, (cls,))]


def _said(error: Exception) -> str:
    """What is wrong, without the value."""
    if not isinstance(error, msgspec.MsgspecError):
        return str(error)
    what, path = misfit(error)
    return f"{path}: {what}" if path else what


def _unnamed(schema: Any, definitions: dict[str, Any], met: dict[str, int]) -> Any:
    """A JSON schema with its definitions in their places, without names, and without what docstrings say."""
    if isinstance(schema, list):
        return [_unnamed(each, definitions, met) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        name = reference.removeprefix("#/$defs/")
        if name in met:
            return met[name]
        met[name] = len(met)
        return _unnamed(definitions[name], definitions, met)
    return {
        key: _unnamed(value, definitions, met)
        for key, value in schema.items()
        if not (key == "$defs" or (key in ("title", "description") and isinstance(value, str)))
    }
