"""Appends the flights to a store, from wherever an earlier run left off."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

from act_fast import Append, Store
from examples.flights.source import Happening

__all__ = ["append_rest"]

Told: TypeAlias = Callable[[int], object]
"""Is told the position that has been reached."""


def append_rest(store: Store, happenings: Sequence[Happening], events_per_commit: int, told: Told) -> int:
    """Append those of `happenings` that `store` does not hold yet, and say how many they were.

    Their order never changes and a commit is there whole or not at all, so the head of the log says where to go on,
    also when the last run was killed. Each stream is expected at its version: of two runs at once, one gets an error.
    """
    head = store.head
    _refuse_strangers(store, happenings)
    versions = Counter(happening.stream for happening in happenings[:head])
    for start in range(head, len(happenings), events_per_commit):
        part = happenings[start : start + events_per_commit]
        store.append_many([_append(happening, versions) for happening in part])
        told(start + len(part))
    return len(happenings) - head


def _append(happening: Happening, versions: Counter[str]) -> Append:
    stream, event = happening
    expected = versions[stream]
    versions[stream] += 1
    return Append(stream, [event], expected_version=expected)


def _refuse_strangers(store: Store, happenings: Sequence[Happening]) -> None:
    """Make sure that the store holds the beginning of `happenings` and nothing else, by looking at where it ends."""
    for last in store.query(backwards=True, limit=1):
        if last.position > len(happenings) or last.stream != happenings[last.position - 1].stream:
            raise SystemExit(f"{store!r} holds something else than these flights: choose another --store")
