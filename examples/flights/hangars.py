"""Books repairs: an aircraft goes to the hangar of the airport that it is at, if there is a place left.

That is a rule over two things, the aircraft's own stream and all bookings of the hangar, whichever aircraft they
are for. The decision is appended only if neither has changed meanwhile.
"""

from collections.abc import Iterable
from typing import NamedTuple

from act_fast import Act, Append, Event, Tag, View, at, decision, reducer
from examples.flights.aircraft import Aircraft
from examples.flights.look import Folded

__all__ = ["PLACES", "Booking", "Hangar", "RepairBooked", "book_repairs"]

PLACES = 1
"""How many aircraft a hangar takes."""


class RepairBooked(Event):
    """An aircraft has a place in the hangar of an airport."""

    hangar: Tag[str]
    aircraft: Tag[str]


class Hangar(View, name="hangar"):
    """The hangar of an airport: what is booked there."""

    booked: list[str] = []

    @reducer
    def repair_booked(self, event: RepairBooked) -> None:
        """A place is taken."""
        self.booked.append(event.aircraft)


class NoPlaceError(Exception):
    """There is no place for the aircraft, for a reason that people understand."""


class Booking(NamedTuple):
    """What became of the wish to repair an aircraft."""

    stream: str
    airport: str
    outcome: str


@decision(retries=10)
def book_repair(aircraft: Aircraft, hangar: Hangar, stream: str, airport: str) -> Append | None:
    """Book a place. Whoever has one keeps it."""
    if stream in hangar.booked:
        return None
    if aircraft.airport != airport:
        raise NoPlaceError("it is elsewhere")
    if len(hangar.booked) >= PLACES:
        raise NoPlaceError(f"taken by {', '.join(hangar.booked)}")
    return Append(f"hangar-{airport}", [RepairBooked(airport, stream)])


def book_repairs(app: Act, folded: Iterable[Folded]) -> list[Booking]:
    """Try to book a repair for each of some aircraft, where they are now."""
    return [_book(app, each.stream, each.state.airport) for each in folded if each.state.airport]


def _book(app: Act, stream: str, airport: str) -> Booking:
    try:
        app.decide(book_repair, at(Aircraft, stream), Hangar.of(airport), stream, airport)
    except NoPlaceError as error:
        return Booking(stream, airport, str(error))
    return Booking(stream, airport, "booked")
