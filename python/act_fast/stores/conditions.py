"""The conditions of a query, as type checkers see them."""

from datetime import datetime
from typing import TypedDict

__all__ = ["Conditions"]


class Conditions(TypedDict, total=False):
    """All that a query may ask besides the events' classes; told of at `Act.query`."""

    stream: str | None
    pattern: str | None
    after: int
    before: int | None
    created_after: datetime | None
    created_before: datetime | None
    correlation: str | None
    limit: int | None
    backwards: bool
