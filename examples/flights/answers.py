"""Asks the same store three questions in SQL, and draws the answer to a fourth."""

from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from act_fast import Act
from examples.flights.look import events_before

__all__ = ["Fleet", "Hour", "Origin", "Place", "draw_hours", "fleet_then_and_now", "hours", "origins", "places"]

ORIGINS = """
    select origin, count(*), avg(delay_minutes), quantile_cont(delay_minutes, 0.9)
    from FlightDeparted
    group by origin
    order by origin
"""

PLACES = """
    select airport, count(*), sum(arrivals), sum(arrival_delay_minutes) / sum(arrivals)
    from Aircraft
    where airport <> ''
    group by airport
    order by count(*) desc, airport
    limit $most
"""

FLEET = """
    select count(*) filter (arrivals > 0), sum(arrivals), sum(miles) from Aircraft_at($position)
    union all
    select count(*) filter (arrivals > 0), sum(arrivals), sum(miles) from Aircraft
"""

HOURS = """
    with planned as (select origin, delay_minutes, "at" - to_minutes(delay_minutes) as leaves from FlightDeparted)
    select origin, extract(hour from leaves at time zone 'America/New_York') as hour, count(*), avg(delay_minutes)
    from planned
    group by all
    order by all
"""


class Origin(NamedTuple):
    """How late flights leave an airport; one in ten leaves later than `late_tenth_minutes`."""

    airport: str
    departures: int
    average_minutes: float
    late_tenth_minutes: float


class Place(NamedTuple):
    """Which aircraft are at an airport when the year is over, and how they have done."""

    airport: str
    aircraft: int
    arrivals: int
    average_minutes: float


class Fleet(NamedTuple):
    """All aircraft together."""

    aircraft: int
    arrivals: int
    miles: int


class Hour(NamedTuple):
    """How late flights leave that were planned for one hour of the day."""

    airport: str
    hour: int
    departures: int
    average_minutes: float


def origins(app: Act) -> list[Origin]:
    """Asks a view: every `FlightDeparted` is a row, every field a column of its type."""
    return [Origin(*row) for row in app.sql(ORIGINS).fetchall()]


def places(app: Act, most: int = 5) -> list[Place]:
    """Asks the states: every aircraft is a row, as it is now."""
    return [Place(*row) for row in app.sql(PLACES, most=most).fetchall()]


def fleet_then_and_now(app: Act, moment: datetime) -> tuple[Fleet, Fleet]:
    """Asks the states as they were, beside those of now."""
    then, now = app.sql(FLEET, position=events_before(app, moment)).fetchall()
    return Fleet(*then), Fleet(*now)


def hours(app: Act) -> list[Hour]:
    """How the day goes: delays grow from hour to hour."""
    return [Hour(*row) for row in app.sql(HOURS).fetchall()]


def draw_hours(found: list[Hour], path: Path, departures_least: int = 100) -> None:
    """Draw the delays over the day as SVG, leaving out the hours in which hardly anything leaves."""
    from matplotlib.figure import Figure

    lines: dict[str, list[Hour]] = defaultdict(list)
    for hour in found:
        if hour.departures >= departures_least:
            lines[hour.airport].append(hour)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot(
        title="How late flights leave New York", xlabel="planned for this hour", ylabel="minutes late, on average"
    )
    for airport, each in lines.items():
        axes.plot([one.hour for one in each], [one.average_minutes for one in each], marker=".", label=airport)
    axes.set_xticks(range(6, 24, 3))
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
