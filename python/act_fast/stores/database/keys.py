"""Appending once, in a database: a key is the last tag of its commit's first event, and looked up as tags are."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from act_fast._core import check_name
from act_fast._rows import EventPair, OnceRow, ProposedPart
from act_fast.errors import ValidationError
from act_fast.stores.database.connections import Connections
from act_fast.stores.database.tags import tags_of
from act_fast.stores.once import key_tag

__all__ = ["check_no_keys", "keyed", "used"]

_KEY_BYTES_MAX: Final = 508
_TAGS_MAX: Final = 64

# A commit ends before the first event behind it that belongs to another one.
_USED: Final[LiteralString] = """
select e.commit_position, coalesce(
        (select n.position from {schema}.events as n
            where n.position > e.position and n.commit_position <> e.commit_position order by n.position limit 1) - 1,
        (select position from {schema}.log)
    ), e.created_us
    from {schema}.tags as t join {schema}.events as e on e.position = t.position
    where t.tag = %s order by t.position desc limit 1
"""


def check_no_keys(parts: Sequence[ProposedPart]) -> None:
    """Refuse tags that look like keys.

    Raises:
        ValidationError: there is one.
    """
    begin = key_tag("")
    for _, events, _ in parts:
        for event in events:
            if any(tag.startswith(begin) for tag in tags_of(event)):
                raise ValidationError(
                    f"a tag begins with {begin!r}, as keys do; name it otherwise, or give the append a key"
                )


def keyed(parts: Sequence[ProposedPart], once: OnceRow) -> list[ProposedPart]:
    """Parts that were checked, with a key as a tag.

    Raises:
        ValidationError: it can be no key, or no key of these parts.
    """
    key, _ = once
    check_name("key", key)
    if len(key.encode()) > _KEY_BYTES_MAX:
        raise ValidationError(f"the key has {len(key.encode())} bytes of UTF-8; at most {_KEY_BYTES_MAX} are allowed")
    (stream, (first, *others), expected), *behind = parts
    tags = tags_of(first)
    if len(tags) >= _TAGS_MAX:
        raise ValidationError(
            f"the first event has {_TAGS_MAX} tags; with a key it may have one less, since the key is one"
        )
    tagged: EventPair = (first[0], first[1], [*tags, key_tag(key)])
    return [(stream, [tagged, *others], expected), *behind]


def used(connections: Connections[Any], once: OnceRow) -> tuple[int, int] | None:
    """The positions of the first and the last event of the commit that a key was used for; None without one."""
    key, since = once
    check_name("key", key)
    for first, last, created_us in connections.ask(_USED, key_tag(key)):
        if created_us >= since:
            return int(first), int(last)
    return None
