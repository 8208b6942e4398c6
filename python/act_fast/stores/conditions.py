"""The conditions of a query: as type checkers see them, and as the core takes them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict

from act_fast._checks import arguments

__all__ = ["Conditions", "conditions_of"]


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


def conditions_of(
    stream: str | None,
    pattern: str | None,
    names: Sequence[str] | None,
    after: int,
    before: int | None,
    created_after: datetime | None,
    created_before: datetime | None,
    correlation: str | None,
) -> dict[str, Any]:
    """The conditions of a query, as the core takes them."""
    return {
        "stream": None if stream is None else arguments.text("stream", stream),
        "pattern": None if pattern is None else arguments.text("pattern", pattern),
        "names": None if names is None else arguments.texts("names", names),
        "after": arguments.count("after", after),
        "before": arguments.optional_count("before", before),
        "created_after_us": arguments.microseconds("created_after", created_after),
        "created_before_us": arguments.microseconds("created_before", created_before),
        "correlation": None if correlation is None else arguments.text("correlation", correlation),
    }
