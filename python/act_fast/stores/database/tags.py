"""Tags as databases keep them: those of an event are one text, in lines; None where it has none."""

from collections.abc import Sequence
from typing import Any

from act_fast._rows import EventPair, Row

__all__ = ["joined", "row_of", "tags_in", "tags_of"]


def joined(tags: Sequence[str]) -> str | None:
    """Tags as one text. None of them has a line break."""
    return "\n".join(tags) if tags else None


def tags_in(text: str | None) -> tuple[str, ...]:
    """The tags of such a text."""
    return tuple(text.split("\n")) if text else ()


def tags_of(event: EventPair) -> Sequence[str]:
    """The tags of an event that is to be appended."""
    return event[2] if len(event) > 2 else ()


def row_of(row: Any) -> Row:
    """A row as the tables have it, with `COLUMNS`, as stores give it."""
    found: Row = (*row[:7], tags_in(row[7]))
    return found
