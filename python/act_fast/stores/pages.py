"""Walking what comes in pages, one page in memory at a time."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, TypeVar

from act_fast._rows import Row

__all__ = ["Paged", "page_size", "pages", "pages_found"]

_PAGE_ROWS: Final = 1000

Page = TypeVar("Page")
Where = TypeVar("Where")


class Paged(Protocol):
    """A query that is running."""

    def next_page(self, limit: int) -> list[Row] | None:
        """At most `limit` rows; may be empty while there is more to look through; None at the end."""
        ...


def page_size(limit: int | None) -> int:
    """How many rows to ask for when `limit` of them are still wanted."""
    return _PAGE_ROWS if limit is None else min(limit, _PAGE_ROWS)


def pages(
    first: tuple[Page, Where | None],
    limit: int | None,
    fetch: Callable[[Where, int], tuple[Page, Where | None]],
    size: Callable[[Any], int] = len,
) -> Iterator[Page]:
    """`first` and the pages that follow it, up to `limit` rows; each page comes with where the next one starts."""
    rows, where = first
    while True:
        yield rows
        if limit is not None:
            limit -= size(rows)
        if where is None or limit == 0:
            return
        rows, where = fetch(where, page_size(limit))


def pages_found(query: Paged, limit: int | None) -> Iterator[list[Row]]:
    """The pages of a query, up to `limit` rows."""
    while limit != 0 and (rows := query.next_page(page_size(limit))) is not None:
        if limit is not None:
            limit -= len(rows)
        yield rows
