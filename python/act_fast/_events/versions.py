"""Versions of an event by their stored names: `Deposited`, `Deposited_v2`, `Deposited_v3`."""

import re
from collections.abc import Mapping
from typing import Final

from act_fast._events.event import Event
from act_fast.errors import DefinitionError

__all__ = ["replaced"]

_VERSIONED: Final = re.compile(r"^(?P<base>.+)_v(?P<number>[0-9]+)$")


def replaced(place: str, named: Mapping[str, type[Event]]) -> dict[type[Event], type[Event]]:
    """Each event class that a later version of the same event has replaced, with the newest one.

    A name without a suffix is the first version. `_v0`, `_v1` and `_v02` are refused, since nobody could tell what
    they come before.
    """
    families: dict[str, dict[int, type[Event]]] = {}
    for name, event in named.items():
        base, number = _split(place, name)
        families.setdefault(base, {})[number] = event
    return {
        event: family[max(family)]
        for family in families.values()
        for number, event in family.items()
        if number != max(family)
    }


def _split(place: str, name: str) -> tuple[str, int]:
    found = _VERSIONED.match(name)
    if found is None:
        return name, 1
    if found["number"].startswith("0") or found["number"] == "1":
        raise DefinitionError(
            f"{place}: the event name {name!r} cannot be put in order; the first version has no suffix,"
            " the second is _v2, the third _v3"
        )
    return found["base"], int(found["number"])
