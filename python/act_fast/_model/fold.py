"""Folding: a state, a page of rows, and the state after them. The hottest loop of the framework."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast._events.codec import Codec, Decode, undecodable
from act_fast._events.context import deciding
from act_fast._events.event import Event, holds_floats
from act_fast._events.gone import BOOKS, CLOSED, GONE, PRUNED, held_state
from act_fast._model.copier import Copier, copier_of
from act_fast._rows import Row
from act_fast._runtime.logger import log
from act_fast._states.definition import Definition
from act_fast.errors import DecodeError, DefinitionError, FoldError

if TYPE_CHECKING:
    from act_fast._states.state import State

__all__ = ["Fold", "PrunedEvent", "Unknown"]

S = TypeVar("S", bound="State")

Unknown: TypeAlias = Literal["warn", "skip", "raise"]
"""What to do with an event in a stream that the state does not know."""


class PrunedEvent(Exception):
    """There is an event that was pruned."""

    def __init__(self, stream: str, version: int) -> None:
        self.stream = stream
        self.version = version


class Fold(Generic[S]):
    """What one app needs to fold the events of one state class.

    Attributes:
        definition: the state class's own.
        make: makes the state of a stream without events.
        copy: makes a copy that shares nothing that can change.
        codec: decodes the events of all states of the app.
        steps: for each stored name, what decodes the event and what folds it.
        decoders: for each event class that an action may return, what will decode it.
        floating: which of these may hold numbers that JSON does not have.
        unknown: what to do with an event that the state does not know.
    """

    def __init__(self, definition: Definition[S], codec: Codec, unknown: Unknown) -> None:
        self.definition = definition
        self.make: Callable[[], S] = definition.state
        self.copy: Copier = copier_of(definition.state)
        self.steps: dict[str, tuple[Decode, Callable[[S, Any], object]]] = {
            name: (codec.decoders[name], definition.reducers[event])
            for name, event in codec.classes.items()
            if event in definition.reducers
        }
        self.decoders: dict[type[Event], Decode] = {
            event: codec.decoders[event.__stored_name__]
            for event in definition.reducers
            if event not in definition.replaced
        }
        self.floating: frozenset[type[Event]] = frozenset(filter(holds_floats, definition.reducers))
        self.codec = codec
        self.decode_state: Callable[[msgspec.Raw], S] = msgspec.json.Decoder(definition.state).decode
        self.unknown: Unknown = unknown
        self._reducers = f"a reducer of {definition.name}"
        self._warned: set[str] = set()

    def rows(self, state: S, rows: Iterable[Row]) -> bool:
        """Fold rows into `state`, in place, and say whether one of them closed the stream.

        An event that was redacted as a whole is passed over, as if it had no say.

        Raises:
            PrunedEvent: one was pruned, so only an event above it that holds a state can say what the state is.
        """
        steps = self.steps
        closed = False
        row: Row | None = None
        before = deciding.get()
        rest = iter(rows)
        while True:
            try:
                deciding.set(self._reducers)
                for row in rest:
                    step = steps.get(row[3])
                    if step is None:
                        closed = self._passed(state, row) or closed
                        continue
                    decode, reduce = step
                    if reduce(state, decode(row[5])) is not None:
                        self.returned(row[3])
                return closed
            except Exception as error:
                if row is None:
                    raise
                if row[5] in GONE:
                    if row[5] == PRUNED:
                        raise PrunedEvent(row[1], row[2]) from None
                    continue
                meant = self.meaning(error, row)
                if meant is error:
                    raise
                raise meant from None
            finally:
                deciding.set(before)

    def _passed(self, state: S, row: Row) -> bool:
        """Take an event that no reducer folds, and say whether it closed the stream."""
        name, data = row[3], row[5]
        if name in BOOKS:
            if data == PRUNED:
                raise PrunedEvent(row[1], row[2])
            self.take_over(state, data, row[1], row[2])
            return name == CLOSED
        return self.stranger(row[1], row[2], name)

    def take_over(self, state: S, data: bytes, stream: str, version: int) -> bool:
        """Let a state become the one that an event holds; whether it holds any.

        Raises:
            DecodeError: it does not decode as a state of today.
        """
        held = held_state(data)
        if held is None:
            return False
        try:
            found = self.decode_state(held)
        except (msgspec.MsgspecError, RecursionError) as error:
            what, path = misfit(error, self.definition.state) if isinstance(error, msgspec.MsgspecError) else ("", "")
            raise DecodeError(
                f"the state that version {version} of stream {stream!r} holds does not decode as"
                f" {self.definition.name}: {f'field {path!r}: ' if path else ''}{what}; give new fields a default"
            ) from None
        for name in found.__struct_fields__:
            setattr(state, name, getattr(found, name))
        return True

    def events(self, state: S, stream: str, version: int, events: Iterable[Event]) -> None:
        """Fold events that are about to be appended after `version` into `state`, in place."""
        reducers = self.definition.reducers
        before = deciding.get()
        try:
            deciding.set(self._reducers)
            for event in events:
                version += 1
                try:
                    if reducers[type(event)](state, event) is not None:
                        self.returned(event.__stored_name__)
                except FoldError as error:
                    raise FoldError(error.field, error.event, error.problem, stream, version) from None
                except Exception as error:
                    error.add_note(_place(event.__stored_name__, stream, version, self.definition.name))
                    raise
        finally:
            deciding.set(before)

    def stranger(self, stream: str, version: int, name: str) -> bool:
        """Pass over an event that nothing folds, as the app's policy says, and say whether it closed the stream."""
        if name in BOOKS or self.unknown == "skip":
            return name == CLOSED
        state = self.definition.name
        found = f"version {version} of stream {stream!r} is stored as {name!r}, which {state} does not know"
        if self.unknown == "raise":
            raise DecodeError(
                f'{found}; add a reducer, an upcaster or events=[...], or open the app with unknown="warn"'
            )
        if name not in self._warned:
            self._warned.add(name)
            log.warning("%s; it is left out, as are all others of this name from now on", found)
        return False

    def returned(self, name: str) -> None:
        """Refuse a reducer that has returned something."""
        raise DefinitionError(
            f"{self.definition.name}: the reducer of {name} returned something; it changes self and returns nothing"
        )

    def meaning(self, error: Exception, row: Row) -> Exception:
        """The error itself, noted with the event's place, or what it means when the event does not decode."""
        position, stream, version, name, _, data, _, _ = row
        if isinstance(error, FoldError):
            return FoldError(error.field, error.event, error.problem, stream, version, position)
        note = _place(name, stream, version, self.definition.name)
        if isinstance(error, (msgspec.MsgspecError, RecursionError)) and not self._decodes(name, data):
            return DecodeError(f"{undecodable(self.codec.classes[name], name, error)} ({note})")
        error.add_note(note)
        return error

    def _decodes(self, name: str, data: bytes) -> bool:
        try:
            self.steps[name][0](data)
        except (msgspec.MsgspecError, RecursionError):
            return False
        return True


def _place(name: str, stream: str, version: int, state: str) -> str:
    return f"while folding {name}, version {version} of stream {stream!r}, into {state}"
