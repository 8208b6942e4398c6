"""What the demo shows at its end."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from rich import box
from rich.table import Table

from act_fast import Archived, Store
from examples.flights.aircraft import Aircraft
from examples.flights.answers import Fleet, Origin, Place
from examples.flights.hangars import Booking
from examples.flights.look import Folded
from examples.flights.statistics import Airport, Carrier

__all__ = [
    "Timing",
    "airports_table",
    "archive_table",
    "carriers_table",
    "delays_table",
    "fleet_table",
    "origins_table",
    "places_table",
    "repairs_table",
    "store_table",
    "travel_table",
]


class Timing(NamedTuple):
    """How long it took to deal with so many events."""

    events: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.events:,} events in {self.seconds:.2f} s: {self.events / self.seconds:,.0f} a second"


def store_table(store: Store, rates: Mapping[str, Timing]) -> Table:
    """What the store holds, and how fast it went in, comes out, and is reacted to."""
    stats = store.stats()
    table = _table("A year of flights from New York", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("events", f"{stats.events:,}")
    for name, events in sorted(store.names().items()):
        table.add_row("", f"{events:>7,} {name}")
    table.add_row("streams", f"{stats.streams:,}")
    for verb, timing in rates.items():
        table.add_row(verb, str(timing) if timing.events else "nothing: all was there")
    table.add_row("durability", getattr(store, "durability", "that of where it is"))
    table.add_row("on disk", f"{stats.bytes / 1e6:,.1f} MB, {stats.bytes / max(1, stats.events):,.0f} bytes an event")
    return table


def delays_table(folded: Iterable[Folded]) -> Table:
    """How late these aircraft were."""
    table = _table("The most delayed aircraft")
    table.add_column("stream", no_wrap=True)
    for title in ("late", "on average", "arrived", "diverted", "cancelled", "miles"):
        table.add_column(title, justify="right")
    for stream, _, aircraft in folded:
        table.add_row(
            stream,
            _hours(aircraft.arrival_delay_minutes),
            f"{aircraft.arrival_delay_minutes / max(1, aircraft.arrivals):.1f} min",
            f"{aircraft.arrivals:,}",
            f"{aircraft.diversions:,}",
            f"{aircraft.cancellations:,}",
            f"{aircraft.miles:,}",
        )
    return table


def airports_table(airports: Iterable[Airport], count: int = 10) -> Table:
    """The busiest airports. Flights to others than those of New York are known only as far as they began there."""
    table = _table("The busiest airports, kept by reactions")
    table.add_column("airport")
    for title in ("departed", "late", "cancelled", "arrived", "late", "diverted"):
        table.add_column(title, justify="right")
    for airport in islice(airports, count):
        table.add_row(
            airport.name,
            f"{airport.departures:,}",
            _average(airport.departure_delay_minutes, airport.departures),
            f"{airport.cancellations:,}",
            f"{airport.arrivals:,}",
            _average(airport.arrival_delay_minutes, airport.arrivals),
            f"{airport.diversions:,}",
        )
    return table


def carriers_table(carriers: Iterable[Carrier], count: int = 10) -> Table:
    """The most punctual carriers."""
    table = _table("The most punctual carriers, kept by reactions")
    table.add_column("carrier")
    for title in ("arrived", "15 min late", "on average", "cancelled"):
        table.add_column(title, justify="right")
    for carrier in islice(carriers, count):
        table.add_row(
            carrier.name,
            f"{carrier.arrivals:,}",
            f"{carrier.late / max(1, carrier.arrivals):.1%}",
            _average(carrier.arrival_delay_minutes, carrier.arrivals),
            f"{carrier.cancellations:,}",
        )
    return table


def travel_table(stream: str, moment: datetime, then: Aircraft, now: Aircraft) -> Table:
    """One aircraft as it was, beside what has become of it."""
    table = _table(f"{stream}, then and now")
    table.add_column("")
    table.add_column(f"{moment:%-d %B %Y}", justify="right")
    table.add_column("at the end", justify="right")
    table.add_row("arrived", f"{then.arrivals:,}", f"{now.arrivals:,}")
    table.add_row("late", _hours(then.arrival_delay_minutes), _hours(now.arrival_delay_minutes))
    table.add_row("in the air", _hours(then.air_minutes), _hours(now.air_minutes))
    table.add_row("miles", f"{then.miles:,}", f"{now.miles:,}")
    table.add_row("last seen", _place(then), _place(now))
    return table


def repairs_table(bookings: Iterable[Booking]) -> Table:
    """Which of the most delayed aircraft are repaired where they are."""
    table = _table("A decision about an aircraft and a hangar: repairs")
    for title in ("aircraft", "hangar at", "outcome"):
        table.add_column(title)
    for booking in bookings:
        table.add_row(booking.stream, booking.airport, booking.outcome)
    return table


def archive_table(archived: Archived, files: int, stream: str, read: Aircraft) -> Table:
    """What was moved elsewhere, and what is read through from there."""
    table = _table("The log, kept elsewhere", show_header=False)
    table.add_row("log files archived", f"{files:,}")
    if archived.segments:
        table.add_row("took here", f"{archived.bytes_before / 1e6:,.1f} MB")
        table.add_row("take here now", f"{archived.bytes_after / 1e6:,.1f} MB")
    table.add_row(f"{stream}, read from there", f"{read.arrivals:,} arrivals, {read.miles:,} miles")
    return table


def origins_table(origins: Iterable[Origin]) -> Table:
    """How late flights leave."""
    table = _table("SQL over events: how late flights leave")
    table.add_column("from")
    for title in ("departed", "on average", "one in ten, at least"):
        table.add_column(title, justify="right")
    for origin in origins:
        late = f"{origin.average_minutes:.1f} min", f"{origin.late_tenth_minutes:.0f} min"
        table.add_row(origin.airport, f"{origin.departures:,}", *late)
    return table


def places_table(places: Iterable[Place]) -> Table:
    """Where the aircraft are."""
    table = _table("SQL over states: where most aircraft are when the year is over")
    table.add_column("airport")
    for title in ("aircraft", "their flights", "late"):
        table.add_column(title, justify="right")
    for place in places:
        table.add_row(place.airport, f"{place.aircraft:,}", f"{place.arrivals:,}", f"{place.average_minutes:.1f} min")
    return table


def fleet_table(moment: datetime, then: Fleet, now: Fleet) -> Table:
    """The whole fleet as it was, beside what has become of it."""
    table = _table("SQL over states as they were: the whole fleet, then and now")
    table.add_column("")
    table.add_column(f"{moment:%-d %B %Y}", justify="right")
    table.add_column("at the end", justify="right")
    for title, *figures in zip(("aircraft that have flown", "arrived", "miles"), then, now, strict=True):
        table.add_row(title, *(f"{figure:,}" for figure in figures))
    return table


def _table(title: str, *, show_header: bool = True) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=show_header)
    table.box, table.show_edge, table.padding = box.SIMPLE_HEAD, False, (0, 1, 0, 0)
    return table


def _average(minutes: int, flights: int) -> str:
    return f"{minutes / flights:.1f} min" if flights else ""


def _hours(minutes: int) -> str:
    return f"{minutes / 60:,.1f} h"


def _place(aircraft: Aircraft) -> str:
    if aircraft.last_seen is None:
        return "never"
    where = f"at {aircraft.airport}" if aircraft.airport else f"on {aircraft.flight}" if aircraft.flight else "diverted"
    return f"{where}, {aircraft.last_seen:%-d %b %H:%M} UTC"
