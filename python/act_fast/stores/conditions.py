"""Which events are meant: the conditions as people write them, and as the core takes them."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypedDict, TypeVar

from act_fast._checks import arguments
from act_fast._core import is_pattern
from act_fast._rows import Filter
from act_fast.stores.append_condition import Query, items_of

__all__ = ["Conditions", "check_names", "conditions_of", "filter_of", "spelled_out"]

V = TypeVar("V")


class Conditions(TypedDict, total=False):
    """Which events to include: those that meet every condition. One that is left out, or None, excludes nothing.

    Attributes:
        stream: of this stream only, by its exact name.
        pattern: of streams whose names match this regular expression anywhere; anchor it yourself with ^ and $.
            Matching takes linear time, so look-around and back-references are not supported.
        after: at a later position than this.
        before: at an earlier position than this.
        created_after: committed later than this timezone-aware datetime.
        created_before: committed earlier than this timezone-aware datetime.
        correlation: whose commit carries this correlation.
        tags: that carry all of these tags.
        matching: that match this `Query`.
    """

    stream: str | None
    pattern: str | None
    after: int
    before: int | None
    created_after: datetime | None
    created_before: datetime | None
    correlation: str | None
    tags: Sequence[str] | None
    matching: Query | None


_NAMES: Final = tuple(Conditions.__annotations__)
_KINDS: Final = frozenset({"event", "events", "kind", "kinds", "name", "names", "type", "types"})


def conditions_of(source: str | None, tags: Sequence[str] = ()) -> Conditions:
    """The conditions that the `source=` of a reaction, a stream's name or a pattern, and its `tags=` stand for."""
    found: Conditions = {}
    if source is not None:
        found = {"pattern": source} if is_pattern(source) else {"stream": source}
    if tags:
        found["tags"] = tags
    return found


def check_names(conditions: Iterable[str]) -> None:
    """Refuse conditions that there are none of.

    Raises:
        TypeError: there is no such condition.
    """
    for name in conditions:
        if name not in _NAMES:
            kinds = (
                "; to choose kinds of event, use events=[...] for an app, names=[...] for a store"
                if name in _KINDS
                else ""
            )
            raise TypeError(f"there is no condition {name!r}; there are {', '.join(_NAMES)}{kinds}")


def filter_of(conditions: Mapping[str, Any], names: Sequence[str] | None = None) -> Filter:
    """The conditions as the core takes them.

    Raises:
        TypeError: there is no such condition.
        ValidationError: one is not what it must be.
    """
    check_names(conditions)
    given = conditions.get
    return {
        "stream": _text("stream", given("stream")),
        "pattern": _text("pattern", given("pattern")),
        "names": None if names is None else arguments.texts("names", names),
        "tags": None if given("tags") is None else arguments.texts("tags", given("tags", ())),
        "items": None if given("matching") is None else items_of(conditions["matching"]),
        "after": arguments.count("after", given("after", 0)),
        "before": arguments.optional_count("before", given("before")),
        "created_after_us": arguments.microseconds("created_after", given("created_after")),
        "created_before_us": arguments.microseconds("created_before", given("created_before")),
        "correlation": _text("correlation", given("correlation")),
    }


def _text(name: str, value: Any) -> str | None:
    return None if value is None else arguments.text(name, value)


def spelled_out(verb: V) -> V:
    """Have `help` show the conditions of a verb one by one, as type checkers do."""
    signature = inspect.signature(verb)  # type: ignore[arg-type]
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    shown = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=0 if name == "after" else None, annotation=annotation
        )
        for name, annotation in Conditions.__annotations__.items()
    ]
    verb.__signature__ = signature.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
    return verb
