"""What happens to an aircraft, and what that makes of it."""

from datetime import datetime

from act_fast import Event, State, reducer

__all__ = ["Aircraft", "FlightArrived", "FlightCancelled", "FlightDeparted", "FlightDiverted", "FlightEvent"]


class FlightEvent(Event):
    """Something that happened to a flight, and when that was, in UTC."""

    at: datetime
    flight: str


class FlightDeparted(FlightEvent):
    """It left the gate; early when the delay is negative."""

    origin: str
    destination: str
    delay_minutes: int


class FlightArrived(FlightEvent):
    """It came to where it was meant to go; early when the delay is negative."""

    destination: str
    delay_minutes: int
    air_minutes: int
    miles: int


class FlightDiverted(FlightEvent):
    """It landed elsewhere; `reached` says whether it came to its destination after all, and then `at` is when."""

    destination: str
    reached: bool


class FlightCancelled(FlightEvent):
    """It never left; `at` is when it should have."""

    origin: str
    destination: str


class Aircraft(State):
    """An aircraft's year so far."""

    departures: int = 0
    arrivals: int = 0
    diversions: int = 0
    cancellations: int = 0
    departure_delay_minutes: int = 0
    arrival_delay_minutes: int = 0
    air_minutes: int = 0
    miles: int = 0
    airport: str = ""
    flight: str = ""
    last_seen: datetime | None = None

    @reducer
    def departed(self, event: FlightDeparted) -> None:
        """It is on its way."""
        self.departures += 1
        self.departure_delay_minutes += event.delay_minutes
        self.airport = ""
        self.flight = event.flight
        self.last_seen = event.at

    @reducer
    def arrived(self, event: FlightArrived) -> None:
        """It is where it was going to."""
        self.arrivals += 1
        self.arrival_delay_minutes += event.delay_minutes
        self.air_minutes += event.air_minutes
        self.miles += event.miles
        self.airport = event.destination
        self.flight = ""
        self.last_seen = event.at

    @reducer
    def diverted(self, event: FlightDiverted) -> None:
        """It may be anywhere, unless it reached its destination in the end."""
        self.diversions += 1
        self.airport = event.destination if event.reached else ""
        self.flight = ""
        self.last_seen = event.at

    @reducer
    def cancelled(self, event: FlightCancelled) -> None:
        """It stays where it is."""
        self.cancellations += 1
