"""What reactions make of the aircraft's streams: how each airport and each carrier has done, kept in SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from act_fast import Act, Committed, Lane
from examples.flights.aircraft import FlightArrived, FlightCancelled, FlightDeparted, FlightDiverted, FlightEvent

__all__ = ["LANE", "Airport", "Carrier", "Statistics", "declare_reactions", "statistics_at"]

LANE = Lane("default", events_max=1000, lease=2.0)
"""An airport has its turn with so many events at most; what a dead process held is taken over after two seconds."""

LATE_MINUTES = 15
"""What the Department of Transportation calls late."""

SETTINGS = """
pragma page_size = 1024;
pragma locking_mode = exclusive;
pragma journal_mode = wal;
pragma synchronous = off;
"""
"""Each event is a transaction of its own here, so what is in the file survives this program, and not a power cut. To be
safe from that too, and faster, a `SqlProjection` has one transaction for many events."""

TABLES = """
create table if not exists airports (
    name text primary key,
    position int not null,
    departures int not null default 0,
    departure_delay_minutes int not null default 0,
    cancellations int not null default 0,
    arrivals int not null default 0,
    arrival_delay_minutes int not null default 0,
    diversions int not null default 0
) without rowid;
create table if not exists carriers (
    name text primary key,
    position int not null,
    arrivals int not null default 0,
    arrival_delay_minutes int not null default 0,
    late int not null default 0,
    cancellations int not null default 0
) without rowid;
"""


class Airport(NamedTuple):
    """How an airport has done: what left it, and what came to it from New York."""

    name: str
    position: int
    departures: int
    departure_delay_minutes: int
    cancellations: int
    arrivals: int
    arrival_delay_minutes: int
    diversions: int


class Carrier(NamedTuple):
    """How punctual a carrier was."""

    name: str
    position: int
    arrivals: int
    arrival_delay_minutes: int
    late: int
    cancellations: int


class Statistics:
    """The tables.

    An event is delivered at least once, and after a crash some are delivered again. Each row belongs to one target,
    whose events come in order; so it bears the position of the last one, and what is not above it counts no more.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(SETTINGS + TABLES)

    def departed(self, event: Committed[FlightDeparted | FlightCancelled]) -> None:
        """A flight has left its origin, or never did."""
        data = event.data
        left, delay = (1, data.delay_minutes) if isinstance(data, FlightDeparted) else (0, 0)
        self._connection.execute(
            "insert into airports (name, position, departures, departure_delay_minutes, cancellations)"
            " values (?, ?, ?, ?, ?) on conflict do update set position = excluded.position,"
            " departures = departures + excluded.departures, cancellations = cancellations + excluded.cancellations,"
            " departure_delay_minutes = departure_delay_minutes + excluded.departure_delay_minutes"
            " where excluded.position > position",
            (data.origin, event.position, left, delay, 1 - left),
        )

    def arrived(self, event: Committed[FlightArrived | FlightDiverted]) -> None:
        """A flight has come to its destination, or elsewhere."""
        data = event.data
        came, delay = (1, data.delay_minutes) if isinstance(data, FlightArrived) else (0, 0)
        self._connection.execute(
            "insert into airports (name, position, arrivals, arrival_delay_minutes, diversions)"
            " values (?, ?, ?, ?, ?) on conflict do update set position = excluded.position,"
            " arrivals = arrivals + excluded.arrivals, diversions = diversions + excluded.diversions,"
            " arrival_delay_minutes = arrival_delay_minutes + excluded.arrival_delay_minutes"
            " where excluded.position > position",
            (data.destination, event.position, came, delay, 1 - came),
        )

    def judged(self, event: Committed[FlightArrived | FlightCancelled]) -> None:
        """A carrier has kept its timetable, or has not."""
        data = event.data
        came, delay = (1, data.delay_minutes) if isinstance(data, FlightArrived) else (0, 0)
        self._connection.execute(
            "insert into carriers (name, position, arrivals, arrival_delay_minutes, late, cancellations)"
            " values (?, ?, ?, ?, ?, ?) on conflict do update set position = excluded.position,"
            " arrivals = arrivals + excluded.arrivals, cancellations = cancellations + excluded.cancellations,"
            " late = late + excluded.late,"
            " arrival_delay_minutes = arrival_delay_minutes + excluded.arrival_delay_minutes"
            " where excluded.position > position",
            (_carrier(data), event.position, came, delay, int(delay >= LATE_MINUTES), 1 - came),
        )

    def airports(self) -> list[Airport]:
        """Every airport, the busiest first."""
        found = self._connection.execute("select * from airports order by departures + arrivals desc, name")
        return [Airport(*row) for row in found]

    def carriers(self) -> list[Carrier]:
        """Every carrier, the most punctual first."""
        found = self._connection.execute("select * from carriers order by 1.0 * late / max(1, arrivals), name")
        return [Carrier(*row) for row in found]


@contextmanager
def statistics_at(path: str) -> Iterator[Statistics]:
    """The tables in a file, which is made if it is not there."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        yield Statistics(connection)
    finally:
        connection.close()


def declare_reactions(app: Act, statistics: Statistics) -> None:
    """Let the statistics be kept: one target for each airport and each carrier, found as its first event comes."""
    app.on(FlightDeparted, FlightCancelled, to="airport-{data.origin}", name="departed")(statistics.departed)
    app.on(FlightArrived, FlightDiverted, to="airport-{data.destination}", name="arrived")(statistics.arrived)
    app.on(FlightArrived, FlightCancelled, to=_carriers_target, name="judged")(statistics.judged)


def _carriers_target(event: Committed[FlightArrived | FlightCancelled]) -> str:
    return f"carrier-{_carrier(event.data)}"


def _carrier(event: FlightEvent) -> str:
    return event.flight[:2]
