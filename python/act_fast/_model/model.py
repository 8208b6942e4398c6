"""A state class as one app runs it."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import msgspec

from act_fast._core import Declaration
from act_fast._events.codec import Codec
from act_fast._events.gone import state_event
from act_fast._events.sealing import wire_of
from act_fast._model.core_spec import declaration_of
from act_fast._model.fold import Fold, Unknown
from act_fast._model.snapshot_codec import StateCodec
from act_fast._states.definition import Definition
from act_fast._states.state import State

__all__ = ["Model"]

S = TypeVar("S", bound=State)


class Model(Fold[S]):
    """A state class as one app runs it: how it folds, and how its snapshots are stored."""

    def __init__(self, definition: Definition[S], codec: Codec, unknown: Unknown) -> None:
        super().__init__(definition, codec, unknown)
        self.stored: StateCodec[S] = StateCodec(definition, list(self.steps), codec.sealer)
        self.decode_state: Callable[[msgspec.Raw], S] = self.stored.decode_plain

    @cached_property
    def telling(self) -> frozenset[str]:
        """The stored names of events that may tell of personal values, if only of those an upcaster was given."""
        return frozenset(filter(self.codec.may_tell, self.steps))

    @cached_property
    def may_give_away(self) -> bool:
        """Whether a state may hold something in clear that is sealed elsewhere."""
        sealed = self.codec.sealer is not None
        return sealed and (bool(self.telling) or wire_of(self.definition.state) is not None)

    def held(self, state: S) -> bytes:
        """The data of an event that holds a state.

        Raises:
            DefinitionError: it cannot be stored as JSON, or comes back as something else.
        """
        return state_event(self.stored.plain(state))

    @cached_property
    def declaration(self) -> Declaration | None:
        """The state as the core can fold it, where it is declared through and through."""
        return declaration_of(self.definition, self.codec, list(self.steps))
