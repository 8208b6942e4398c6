"""Whether what redaction puts in an event's place is something that the app can read."""

from collections.abc import Callable

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast._events.committed import Committed
from act_fast._events.gone import BOOKS, held_state
from act_fast._model.registry import Registry
from act_fast.errors import ValidationError

__all__ = ["check_readable"]


def check_readable(registry: Registry, event: Committed[bytes], data: bytes) -> None:
    """Refuse new data that the event's class cannot read; if it could not read the old, it may stay so.

    Raises:
        ValidationError: it cannot, and which field is wrong.
    """
    found = _reader(registry, event)
    if found is None:
        return
    kind, read = found
    error = _error(read, data)
    if error is None or _error(read, event.data) is not None:
        return
    what, path = misfit(error, kind) if isinstance(error, msgspec.MsgspecError) else (str(error), "")
    where = f"field {path!r}: " if path else ""
    raise ValidationError(
        f"the new data of position {event.position} does not decode as {kind.__qualname__}: {where}{what}; give a value"
        " of the field's type"
    )


def _reader(registry: Registry, event: Committed[bytes]) -> tuple[type, Callable[[bytes], object]] | None:
    """What an event's data is read as, and what reads it; None where the app does not know."""
    read = registry.codec.decoders.get(event.name)
    if read is not None:
        return registry.codec.classes[event.name], read
    action = event.meta.action
    if event.name not in BOOKS or action is None:
        return None
    name = action.name.rpartition(".")[0]
    found = next((each for each in registry.models.values() if each.definition.name == name), None)
    if found is None:
        return None
    decode = found.decode_state
    return found.definition.state, lambda data: decode(held_state(data) or msgspec.Raw(data))


def _error(read: Callable[[bytes], object], data: bytes) -> Exception | None:
    try:
        read(data)
    except Exception as error:  # an upcaster may raise anything
        return error
    return None
