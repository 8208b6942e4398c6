"""Looks at what a store holds: every aircraft as it is now, and one as it was."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import datetime
from heapq import nlargest
from typing import NamedTuple

from act_fast import Act
from examples.flights.aircraft import Aircraft, FlightEvent
from examples.flights.append import flights_in

__all__ = ["Folded", "as_of", "events_before", "fold_all", "most_delayed"]


class Folded(NamedTuple):
    """A stream, how many events it has, and what they fold into."""

    stream: str
    events: int
    state: Aircraft


def fold_all(app: Act, told: Callable[[int, int], object]) -> list[Folded]:
    """Every stream of the app's store, folded in one pass. `told` is told how many events of how many have been."""
    replayed = app.replay(Aircraft, progress=told)
    return [Folded(stream, snapshot.version, snapshot.state) for stream, snapshot in replayed]


def most_delayed(folded: Iterable[Folded], count: int = 10) -> list[Folded]:
    """Those that arrived late by the most minutes in all; minutes that they were early count against them."""
    return nlargest(count, folded, key=lambda each: each.state.arrival_delay_minutes)


def as_of(app: Act, stream: str, moment: datetime) -> Aircraft:
    """The state of `stream` as it was at `moment`, going by when the flights were, not by when they were appended."""
    return app.load(Aircraft, stream, position=events_before(app, moment)).state


def events_before(app: Act, moment: datetime) -> int:
    """How many events of flights there were before `moment`. They are in the order of time, so bisection finds out."""
    return bisect_left(range(1, flights_in(app.store) + 1), moment, key=lambda position: _when(app, position))


def _when(app: Act, position: int) -> datetime:
    [event] = app.query(after=position - 1, limit=1)
    assert isinstance(event.data, FlightEvent)
    return event.data.at
