"""Snapshots in the store: a state as JSON, with a mark of the definitions that it was folded by."""

from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast._checks.round_trip import difference
from act_fast._events.sealing import Sealer, Wire, wire_of
from act_fast._model.snapshot_mark import mark_of
from act_fast._states.definition import Definition
from act_fast.errors import ActError, DecodeError, DefinitionError

__all__ = ["StateCodec"]

S = TypeVar("S")


class _Stored(msgspec.Struct):
    """What a snapshot's bytes hold: the mark, and the state's own JSON."""

    mark: str
    state: msgspec.Raw


class StateCodec(Generic[S]):
    """Encodes and decodes the snapshots of one state class."""

    def __init__(self, definition: Definition[Any], names: list[str], sealer: Sealer | None = None) -> None:
        state: type[S] = definition.state
        self._decode_state = msgspec.json.Decoder(state).decode
        self._decode = msgspec.json.Decoder(_Stored).decode
        self._encode = msgspec.json.Encoder().encode
        self._definition = definition
        self._names = names
        self._sealer = sealer
        self._name = f"$state:{definition.name}"

    @cached_property
    def _wire(self) -> Wire | None:
        """How personal fields of the state are sealed; by now all that its annotations name is there."""
        return wire_of(self._definition.state)

    @cached_property
    def mark(self) -> str:
        """Changes with whatever a state is folded by: fields and their defaults, events, upcasters and reducers.

        A state that was folded by other definitions would decode all the same, and be wrong.
        """
        return mark_of(self._definition, self._names, sealed=self._sealer is not None)

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
        return self._encode(_Stored(self.mark, self.plain(state)))

    def plain(self, state: S) -> msgspec.Raw:
        """A state as JSON.

        Raises:
            DefinitionError: as `encode`.
        """
        name = self._definition.name
        try:
            data, again = self._written(state)
            changed = difference(state, again, name)
        except ActError:
            raise
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise DefinitionError(
                f"a state of {name} cannot be stored: {_said(error)}; fix the reducer that made it so"
            ) from None
        if changed is not None:
            raise DefinitionError(
                f"a state of {name} cannot be stored: {changed} from JSON; let the field's type say what it holds, or"
                " let the reducer store something that JSON can hold"
            )
        return msgspec.Raw(data)

    def decode(self, data: bytes) -> S:
        """The state in a snapshot's bytes.

        Raises:
            DecodeError: it was folded by other definitions, or does not decode.
        """
        try:
            stored = self._decode(data)
            if stored.mark != self.mark:
                raise DecodeError("it was folded by other definitions of the state")
            return self.decode_plain(stored.state)
        except msgspec.MsgspecError:
            raise DecodeError("it does not decode") from None

    def decode_plain(self, data: msgspec.Raw) -> S:
        """The state that some JSON stands for, its personal values opened."""
        if self._wire is not None:
            found: S = self._wire.opened(bytes(data), self._name, self._sealer)
            return found
        return self._decode_state(data)

    def _written(self, state: S) -> tuple[bytes, S]:
        """A state's JSON, its personal values sealed, and the state as it comes back."""
        wire = self._wire
        if wire is None:
            data = self._encode(state)
            return data, self._decode_state(msgspec.Raw(data))
        if self._sealer is None:
            raise DefinitionError("it has personal fields; open the app with keys= to seal them")
        again: S = wire.again(state, self._name)[0]
        return wire.sealed(state, self._name, self._sealer), again


def _said(error: Exception) -> str:
    """What is wrong, without the value."""
    if not isinstance(error, msgspec.MsgspecError):
        return str(error)
    what, path = misfit(error)
    return f"{path}: {what}" if path else what
