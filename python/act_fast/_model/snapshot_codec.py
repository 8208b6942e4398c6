"""Snapshots in the store: a state as JSON, with a mark of the definitions that it was folded by."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

import msgspec

from act_fast._declared.tree import trees_as_data
from act_fast._states.definition import Definition
from act_fast.errors import DecodeError, DefinitionError

__all__ = ["StateCodec"]

S = TypeVar("S")

_json: Final = msgspec.json.Encoder(order="sorted")


class _Stored(msgspec.Struct):
    """What a snapshot's bytes hold: the mark, and the state's own JSON."""

    mark: str
    state: msgspec.Raw


class StateCodec(Generic[S]):
    """Encodes and decodes the snapshots of one state class."""

    def __init__(self, definition: Definition[Any], names: list[str]) -> None:
        self._decode_state: Callable[[msgspec.Raw], S] = msgspec.json.Decoder(definition.state).decode
        self._decode = msgspec.json.Decoder(_Stored).decode
        self._encode = msgspec.json.Encoder().encode
        self._definition = definition
        self._names = names

    @cached_property
    def mark(self) -> str:
        """Changes with the fields, the events and the `snapshot_version` of the state class.

        A state that was folded by other definitions would decode all the same, and be wrong.
        """
        return _mark(self._definition, self._names)

    def encode(self, state: S) -> bytes:
        """A state as a snapshot's bytes.

        Raises:
            DefinitionError: the reducers have put something in it that is not JSON.
        """
        try:
            return self._encode(_Stored(self.mark, msgspec.Raw(self._encode(state))))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise DefinitionError(
                f"a state of {self._definition.name} cannot be stored: {error}; mend the reducer that made it so"
            ) from None

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


def _mark(definition: Definition[Any], names: list[str]) -> str:
    reducers = sorted(
        # Upcasters by name too: one that takes what is stored under the event's own name adds no other name.
        (event.__stored_name__, sorted(event.__upcasts__), _shape(event))
        for event in definition.reducers
    )
    said = [definition.snapshot_version, _shape(definition.state), reducers, sorted(names)]
    if definition.plan is not None:
        said.append(trees_as_data(definition.plan.trees))
    return hashlib.sha256(_json.encode(said)).hexdigest()[:16]


def _shape(cls: type[Any]) -> Any:
    """What JSON of a class looks like, whatever the class is called and wherever it lives."""
    schema = msgspec.json.schema(cls)
    return _unnamed(schema, schema.get("$defs", {}), {})


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
