"""What a query takes: alternatives of names and tags, and how each is found."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from act_fast._core import check_guards
from act_fast._rows import Filter

__all__ = ["Wanted", "wanted_by"]


class Wanted(NamedTuple):
    """An alternative of a query: events with one of the names and all of the tags.

    Attributes:
        names: the names; None: any name.
        tags: the tags, each once.
    """

    names: Sequence[str] | None
    tags: Sequence[str] = ()


def wanted_by(conditions: Filter) -> list[Wanted]:
    """The alternatives of a query; none where nothing can match.

    Raises:
        ValidationError: there is no such name, no such tag, or one is given twice, as on the log.
    """
    names, tags = conditions.get("names"), conditions.get("tags") or ()
    items = conditions.get("items")
    check_guards((), [([(names or (), tags)], 0)])
    if items is None:
        return _possible([(names, tags)])
    check_guards((), [(items, 0)])
    return _possible((_both(names, item_names or None), (*tags, *item_tags)) for item_names, item_tags in items)


def _both(one: Sequence[str] | None, other: Sequence[str] | None) -> Sequence[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return [name for name in one if name in other]


def _possible(given: Iterable[tuple[Sequence[str] | None, Sequence[str]]]) -> list[Wanted]:
    """Those that something may match, each once; a single one where one of them takes everything."""
    found = [
        Wanted(None if names is None else tuple(dict.fromkeys(names)), tuple(dict.fromkeys(tags)))
        for names, tags in given
        if names is None or names
    ]
    anything = Wanted(None)
    return [anything] if anything in found else [*dict.fromkeys(found)]
