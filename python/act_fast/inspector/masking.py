"""How much of events and states is shown: all, the fields without their values, or nothing."""

import re
from typing import Any, Final, Literal, TypeAlias

import msgspec

__all__ = ["HIDDEN", "Payload", "masked", "shown_error"]

Payload: TypeAlias = Literal["none", "masked", "full"]
"""Everything; the names of fields and the kinds of their values; or nothing."""

HIDDEN: Final = "•••"
_KINDS: Final = {bool: "true or false", int: "number", float: "number", str: "text", type(None): "null"}
_ITEMS_SHOWN: Final = 1
_FIELD: Final = re.compile(r"[^\W\d][\w-]*")


class Mask(msgspec.Struct, frozen=True):
    """What stands in the place of a value: of which kind it is."""

    kind: str


def masked(value: Any) -> Any:
    """The same JSON, with a `Mask` in the place of each value, and of each key that cannot be the name of a field.

    Of a list only the first item is told.
    """
    if isinstance(value, dict):
        return {key if _FIELD.fullmatch(key) else HIDDEN: masked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value[:_ITEMS_SHOWN]]
    return Mask(_KINDS.get(type(value), "value"))


def shown_error(error: str | None, payload: Payload) -> str | None:
    """What may be said of an error: its message may quote what an event holds, its class does not."""
    if error is None or payload == "full":
        return error
    kind, colon, _ = error.partition(":")
    return f"{kind}: {HIDDEN}" if colon and kind.isidentifier() else HIDDEN
