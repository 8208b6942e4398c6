"""Conditions of an append: which events must not have been appended meanwhile, whatever their streams."""

from collections.abc import Sequence

import msgspec

from act_fast._checks import arguments
from act_fast._rows import ConditionRow, ItemRow
from act_fast.errors import ValidationError

__all__ = ["Condition", "Query", "QueryItem", "condition_row", "items_of"]


class QueryItem(msgspec.Struct, frozen=True):
    """One alternative of a `Query`: events with one of these names *and* all of these tags.

    Attributes:
        names: stored names of events, any of which will do; empty: any name.
        tags: an event must carry all of them; empty: any event.
    """

    names: Sequence[str] = ()
    tags: Sequence[str] = ()


class Query(msgspec.Struct, frozen=True):
    """Which events are meant: those that match any of the items.

        Query.of(tags=["course:maths"]) | Query.of(names=["Enrolled"], tags=["student:ada"])

    Attributes:
        items: the alternatives; at least one.
    """

    items: Sequence[QueryItem]

    @classmethod
    def of(cls, *, names: Sequence[str] = (), tags: Sequence[str] = ()) -> "Query":
        """A query of one item: events with one of these names and all of these tags."""
        return cls((QueryItem(names, tags),))

    @classmethod
    def all(cls) -> "Query":
        """The query that every event matches."""
        return cls((QueryItem(),))

    def __or__(self, other: "Query") -> "Query":
        """The events of both."""
        if not isinstance(other, Query):
            return NotImplemented
        return Query((*self.items, *other.items))


class Condition(msgspec.Struct, frozen=True):
    """What must hold for an append: no event after a position matches a query.

    It is checked while nothing else can be appended. Read `after`, for example the store's head, *before* you read the
    events that you decide on.

    Attributes:
        query: the events that must not be there.
        after: events up to this position do not count; 0 if there must be none at all.
    """

    query: Query
    after: int = 0


def items_of(query: Query) -> list[ItemRow]:
    """A query as the core takes it.

    Raises:
        ValidationError: it is none.
    """
    if not isinstance(query, Query):
        raise ValidationError(f"a query must be a Query, not {type(query).__name__}")
    if isinstance(query.items, str) or not all(isinstance(item, QueryItem) for item in query.items):
        raise ValidationError("the items of a Query must be QueryItems; Query.of(tags=[...]) makes a query of one item")
    return [(arguments.texts("names", item.names), arguments.texts("tags", item.tags)) for item in query.items]


def condition_row(condition: Condition) -> ConditionRow:
    """A condition as the core takes it.

    Raises:
        ValidationError: it is none.
    """
    if not isinstance(condition, Condition):
        raise ValidationError(f"a condition must be a Condition(query, after), not {type(condition).__name__}")
    return items_of(condition.query), arguments.count("after", condition.after)
