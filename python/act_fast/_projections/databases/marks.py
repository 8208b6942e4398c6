"""Statements of ours, in which `?` stands for a parameter, as other clients take them."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

__all__ = ["named", "with_percents"]

_PIECE: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\?""")


@lru_cache(maxsize=512)
def with_percents(sql: str) -> str:
    """With `%s` for each parameter, and every other `%` doubled."""
    return _each(sql.replace("%", "%%"), lambda number: "%s")


@lru_cache(maxsize=512)
def named(sql: str) -> str:
    """With `:p0`, `:p1` ... for the parameters, and every other `:` behind a backslash."""
    return _each(sql.replace(":", r"\:"), lambda number: f":p{number}")


def _each(sql: str, mark: Callable[[int], str]) -> str:
    """Put something for each parameter; a `?` in a name or a text is none."""
    count = 0

    def put(found: re.Match[str]) -> str:
        nonlocal count
        if found[0] != "?":
            return found[0]
        count += 1
        return mark(count - 1)

    return _PIECE.sub(put, sql)
