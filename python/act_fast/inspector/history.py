"""A stream's states, one beside each of its events, with what each event has changed."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from act_fast._app.act import Act
from act_fast._events.committed import Committed
from act_fast._events.sealing import outside
from act_fast._states.state import State
from act_fast.stores.port import Store

__all__ = ["Change", "Step", "model_for_stream", "replay_distance", "steps"]

_MISSING: Final = object()


class Change(msgspec.Struct, frozen=True):
    """A field of a state: its name, its value before and after an event, and whether these differ."""

    field: str
    before: Any
    after: Any
    changed: bool


class Step(msgspec.Struct, frozen=True):
    """The state after an event, field by field."""

    version: int
    fields: list[Change]

    @property
    def changes(self) -> list[Change]:
        """The fields that the event has changed."""
        return [each for each in self.fields if each.changed]


def model_for_stream(app: Act | None, events: Sequence[Committed[bytes]]) -> type[State] | None:
    """The state class that a stream's events belong to; None if no class of the app claims any of them."""
    if app is None:
        return None
    registry = app._engine.registry
    for event in events:
        found = registry.codec.classes.get(event.name)
        if found in registry.owners:
            return registry.owners[found]
    return None


def replay_distance(store: Store, stream: str, version: int) -> int:
    """How many events are folded to get to a version."""
    found = store.latest_snapshot(stream, at_or_below=version) if version else None
    return version - (found.version if found else 0)


def steps(app: Act, state: type[State], stream: str, events: Sequence[Committed[bytes]], after: int) -> list[Step]:
    """The state after each of some events that follow a version.

    Raises:
        DecodeError: an event does not decode.
    """
    before = _fields(app.load(state, stream, at=after).state) if after else _fields(state())
    found = []
    for snapshot in app.history(state, stream, after=after, before=after + len(events) + 1):
        now = _fields(snapshot.state)
        found.append(
            Step(snapshot.version, [_change(name, before.get(name, _MISSING), each) for name, each in now.items()])
        )
        before = now
    return found


def _fields(state: State) -> dict[str, Any]:
    shown = outside(state)
    found: dict[str, Any] = msgspec.json.decode(shown) if shown is not state else msgspec.to_builtins(state)
    return found


def _change(name: str, before: Any, after: Any) -> Change:
    return Change(name, None if before is _MISSING else before, after, before != after)
