"""Time travel: the position of a moment, and the version that a stream had then."""

from datetime import datetime, timedelta

from act_fast._checks import arguments
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import replay_groups_of
from act_fast.stores.port import Store

__all__ = ["cut_at", "until", "version_before"]


def version_before(
    store: Store,
    stream: str,
    before: int | datetime | None,
    at: int | datetime | None,
    position: int | None,
) -> int | None:
    """The version that a fold must stop short of; None to fold everything.

    Args:
        store: where the stream is.
        stream: its name.
        before: a version or a time, exclusive.
        at: a version or a time, inclusive.
        position: the log as it was when this was its head.

    Raises:
        ValidationError: more than one is given, or one is not what it must be.
    """
    _check_one(before, at, position)
    if isinstance(before, datetime):
        arguments.microseconds("before", before)
        return _version_when(store, stream, created_before=before)
    if isinstance(at, datetime):
        arguments.microseconds("at", at)
        later = None if at.replace(tzinfo=None) == datetime.max else at + timedelta(microseconds=1)
        return _version_when(store, stream, created_before=later)
    if before is not None:
        return _version("before", before)
    if at is not None:
        return _version("at", at) + 1
    if position is not None:
        return _version_when(store, stream, before=arguments.count("position", position) + 1)
    return None


def until(
    store: Store, before: int | datetime | None, at: int | datetime | None, position: int | None
) -> tuple[int | None, int | None]:
    """Up to which position, and how many events, a fold by tag must take; None is unlimited. As `version_before`.

    Raises:
        ValidationError: more than one moment is given, or one is not what it must be.
    """
    _check_one(before, at, position)
    if isinstance(before, datetime):
        arguments.microseconds("before", before)
        earliest = before.replace(tzinfo=None) == datetime.min
        return (0 if earliest else cut_at(store, before - timedelta(microseconds=1), "before")), None
    if isinstance(at, datetime):
        return cut_at(store, at), None
    if before is not None:
        return None, max(_version("before", before) - 1, 0)
    if at is not None:
        return None, _version("at", at)
    return (None if position is None else arguments.count("position", position)), None


def cut_at(store: Store, at: int | datetime | None, called: str = "at") -> int:
    """The position of a moment: the head when none is named.

    Args:
        store: the log in question.
        at: a position, or a time, included.
        called: what the caller calls it.

    Raises:
        ValidationError: it is no moment.
    """
    if at is None:
        return store.head
    if not isinstance(at, datetime):
        return min(arguments.count(called, at), store.head)
    moment_us = arguments.microseconds(called, at)
    assert moment_us is not None
    if (replayer := replay_groups_of(store)) is not None:
        return replayer.position_before(moment_us + 1)
    if at.replace(tzinfo=None) == datetime.max:
        return store.head
    later = at + timedelta(microseconds=1)
    return next((each.position for each in store.query(created_before=later, limit=1, backwards=True)), 0)


def _check_one(before: object, at: object, position: object) -> None:
    if (before is not None) + (at is not None) + (position is not None) > 1:
        raise ValidationError("before=, at= and position= each name a moment; give one of them")


def _version(what: str, given: object) -> int:
    if not isinstance(given, int):
        raise ValidationError(
            f"{what}= must be a version, which is a whole number, or a datetime, not {type(given).__name__}"
        )
    return arguments.count(what, given)


def _version_when(
    store: Store, stream: str, *, before: int | None = None, created_before: datetime | None = None
) -> int:
    found = store.query(stream=stream, before=before, created_before=created_before, limit=1, backwards=True)
    return next((each.version for each in found), 0) + 1
