"""Checks what a caller hands in: each check returns the value as the core takes it, or says what is wrong with it."""

import math
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from act_fast._checks.moments import EPOCH, microseconds_of
from act_fast.errors import ValidationError

__all__ = [
    "DUE_MAX_MS",
    "count",
    "directory",
    "due_milliseconds",
    "due_moment",
    "flag",
    "microseconds",
    "milliseconds",
    "one_of",
    "optional_count",
    "text",
    "texts",
]

_COUNT_MAX: Final = 2**63 - 1
# The system's own timers take no more than three times that.
_SECONDS_MAX: Final = 100 * 365 * 24 * 3600
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(/?)")
_MEMORY: Final = re.compile(r":?mem(ory)?:(//)?", re.IGNORECASE)
DUE_MAX_MS: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
"""The last moment that a datetime can be, in ms since 1970: what is due later is due then."""


def count(what: str, value: object) -> int:
    """A whole number that is not negative: a version, a position, a limit, a size."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError(f"{what} must be a whole number, not {_kind(value)}")
    if value < 0:
        raise ValidationError(f"{what} must not be negative, but is {_shown(value)}")
    if value > _COUNT_MAX:
        raise ValidationError(f"{what} must be below 2**63, but is {_shown(value)}")
    return int(value)


def optional_count(what: str, value: object) -> int | None:
    """The same, or None."""
    return None if value is None else count(what, value)


def text(what: str, value: object) -> str:
    """Text. What a name may hold is for the core to say."""
    if not isinstance(value, str):
        raise ValidationError(f"{what} must be text (str), not {_kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValidationError(f"{what} holds a lone surrogate, which cannot be stored: {error.reason}") from None
    return value


def texts(what: str, values: Sequence[str]) -> list[str]:
    """A sequence of texts; one text alone is a slip, since its letters would be taken for names."""
    if isinstance(values, str | bytes):
        raise ValidationError(f"{what} must be a sequence of names, not a single one: write [{values!r}]")
    try:
        return [text(f"each of {what}", value) for value in values]
    except TypeError:
        raise ValidationError(f"{what} must be a sequence of names, not {_kind(values)}") from None


def one_of(what: str, value: object, choices: Sequence[str]) -> str:
    """One of a few words."""
    if isinstance(value, str) and value in choices:
        return value
    raise ValidationError(f"{what} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def flag(what: str, value: object) -> bool:
    """True or False, nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise ValidationError(f"{what} must be True or False, not {_kind(value)}")
    return value


def milliseconds(what: str, seconds: object) -> int:
    """Seconds, whole or not, as milliseconds, rounded up so that only 0 is 0."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != seconds:
        raise ValidationError(f"{what} must be a number of seconds, not {_kind(seconds)}")
    if seconds < 0:
        raise ValidationError(f"{what} must not be negative, but is {_shown(seconds)} seconds")
    return math.ceil(min(seconds, _SECONDS_MAX) * 1000)


def microseconds(what: str, when: object) -> int | None:
    """A moment as microseconds since 1970, or None."""
    if when is None:
        return None
    if not isinstance(when, datetime):
        raise ValidationError(f"{what} must be a datetime, not {_kind(when)}")
    if when.utcoffset() is None:
        raise ValidationError(f"{what} must be timezone-aware: {when!r} is not; add tzinfo=UTC or the zone you mean")
    return microseconds_of(when)


def due_milliseconds(what: str, when: object) -> int:
    """A moment to wait for as milliseconds since 1970, rounded up; the end of the year 9999 if it is later in UTC."""
    if when is None:
        raise ValidationError(f"{what} must be a datetime, not None")
    found = microseconds(what, when)
    assert found is not None
    return min(max(0, -(-found // 1000)), DUE_MAX_MS)


def due_moment(due_ms: int) -> datetime:
    """The moment that so many milliseconds since 1970 are, for people; the last one there is if it is beyond."""
    return EPOCH + timedelta(milliseconds=min(due_ms, DUE_MAX_MS))


def directory(path: str | os.PathLike[str]) -> str:
    """The path of a store's directory, absolute, since the working directory of a program may change."""
    try:
        found = os.fspath(path)
    except TypeError:
        raise ValidationError(f"path must be text or a Path, not {_kind(path)}") from None
    if not isinstance(found, str):
        raise ValidationError(f"path must be text or a Path, not {_kind(found)}")
    if not found or "\0" in found:
        raise ValidationError(f"path must name a directory, but is {found!r}")
    if scheme := _ADDRESS.match(found):
        lost = "" if scheme[1] else "; that has two slashes, and a Path keeps one of them"
        raise ValidationError(  # without the address, which may carry a password
            f"a directory is needed here, not the address of a server ({scheme[0]}…){lost}"
        )
    if isinstance(path, str) and _MEMORY.fullmatch(path):
        raise ValidationError(
            f"{path!r} does not name a store in memory: write `memory:` for an app, or `LogStore.memory()`. A folder of"
            f" that name is `./{path}`"
        )
    return os.path.abspath(found)


def _shown(value: float) -> str:
    """A number, without all of its digits where there are too many for anybody."""
    return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"


def _kind(value: object) -> str:
    if value is None:
        return "None"
    return f"{value!r} ({type(value).__name__})" if isinstance(value, int | float) else type(value).__name__
