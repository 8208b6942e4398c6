"""Appends the flights to a store, from wherever an earlier run left off."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from act_fast import Append, Store
from examples.flights.aircraft import FlightArrived, FlightCancelled, FlightDeparted, FlightDiverted
from examples.flights.source import Happening

__all__ = ["FLIGHT_EVENTS", "append_rest", "flights_in"]

FLIGHT_EVENTS: Final = [
    each.__stored_name__ for each in (FlightArrived, FlightCancelled, FlightDeparted, FlightDiverted)
]

Told: TypeAlias = Callable[[int], object]
"""Is told the position that has been reached."""


def append_rest(store: Store, happenings: Sequence[Happening], events_per_commit: int, told: Told) -> int:
    """Append those of `happenings` that `store` does not hold yet, and say how many they were.

    Their order never changes and a commit is there whole or not at all, so the number of them says where to go on, also
    when the last run was killed. Each stream is expected at its version: of two runs at once, one gets an error.
    """
    head = flights_in(store)
    _refuse_strangers(store, happenings, head)
    versions = Counter(happening.stream for happening in happenings[:head])
    for start in range(head, len(happenings), events_per_commit):
        part = happenings[start : start + events_per_commit]
        store.append_many([_append(happening, versions) for happening in part])
        told(start + len(part))
    return len(happenings) - head


def flights_in(store: Store) -> int:
    """How many events of flights there are. Others come only after all of them."""
    counts = store.names()
    return sum(counts.get(name, 0) for name in FLIGHT_EVENTS)


def _append(happening: Happening, versions: Counter[str]) -> Append:
    stream, event = happening
    expected = versions[stream]
    versions[stream] += 1
    return Append(stream, [event], expected_version=expected)


def _refuse_strangers(store: Store, happenings: Sequence[Happening], head: int) -> None:
    """Make sure that the store begins with `happenings`, by looking at the last of them."""
    known = head == store.head or head == len(happenings)
    for last in store.query(names=FLIGHT_EVENTS, backwards=True, limit=1):
        known = known and last.position == head <= len(happenings) and last.stream == happenings[head - 1].stream
    if not known:
        raise SystemExit(f"{store!r} holds something else than these flights: choose another --store")
