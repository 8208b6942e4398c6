"""What relations and columns are called."""

from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["OWN_COLUMNS", "column_names", "relation_name"]

OWN_COLUMNS: Final = ("position", "stream", "version", "created", "correlation", "causation", "actor", "error")
"""Columns that every event class's relation has besides its fields."""


def column_names(fields: Sequence[str], taken: Iterable[str]) -> list[str]:
    """What fields are called as columns: what they are called, with `_` behind it as often as that name is taken."""
    used = {name.casefold() for name in taken}
    found = []
    for field in fields:
        name = field
        while name.casefold() in used:
            name += "_"
        used.add(name.casefold())
        found.append(name)
    return found


def relation_name(class_name: str, kind: str, taken: Iterable[str]) -> str:
    """What the relation of a class is called: as the class, unless something else is called so.

    Args:
        class_name: the class's own name.
        kind: `event` or `state`, put behind the name where it is taken.
        taken: the names that are.
    """
    used = {name.casefold() for name in taken}
    name, number = class_name, 1
    while name.casefold() in used:
        name = f"{class_name}_{kind}" if number == 1 else f"{class_name}_{kind}_{number}"
        number += 1
    return name
