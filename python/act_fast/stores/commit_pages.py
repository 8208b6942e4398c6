"""Events in pages that end with a commit, so that copying them never tears one."""

from collections.abc import Iterable, Iterator
from typing import Final

from act_fast._rows import CommitRow

__all__ = ["commit_pages"]

_PAGE_EVENTS: Final = 10_000
_PAGE_BYTES: Final = 4 * 1024 * 1024


def commit_pages(rows: Iterable[CommitRow]) -> Iterator[list[CommitRow]]:
    """Pages of whole commits. A page is larger than usual where a commit is."""
    page: list[CommitRow] = []
    commit = size = 0
    for row in rows:
        if row[1] != commit:
            if len(page) >= _PAGE_EVENTS or size >= _PAGE_BYTES:
                yield page
                page, size = [], 0
            commit = row[1]
        page.append(row)
        size += len(row[6]) + len(row[7])
    if page:
        yield page
