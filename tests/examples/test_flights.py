"""The flights demo, on real data: what it stores and folds is what plain Python makes of the CSV file."""

import csv
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import mean, quantiles
from zoneinfo import ZoneInfo

import msgspec
import pytest

from act_fast import Act, ArchiveUnavailableError, LogStore
from examples.flights.__main__ import main
from examples.flights.aircraft import Aircraft, FlightArrived, FlightDeparted, FlightDiverted
from examples.flights.answers import fleet_then_and_now, hours, origins, places
from examples.flights.append import FLIGHT_EVENTS
from examples.flights.attic import read_back
from examples.flights.hangars import PLACES, Hangar, book_repairs
from examples.flights.look import as_of, fold_all, most_delayed
from examples.flights.source import history, read_rows
from examples.flights.statistics import statistics_at
from tests.support.nats import NatsServers

ROOT = Path(__file__).parent.parent.parent
ROWS = 20_000
"""The first three weeks of January, with their snow and their cancellations."""

TIMEOUT_SECONDS = 120
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(islice(read_rows(), ROWS))


@pytest.fixture(scope="module")
def flights(rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flights") / "flights.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def filled(flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the demo has filled."""
    path = tmp_path_factory.mktemp("store") / "flights.act"
    main(["--store", str(path), "--flights", str(flights)])
    return path


def test_every_row_is_one_or_two_events(rows, filled: Path) -> None:
    departed = sum(row["dep_time"] != "NA" for row in rows)
    arrived = sum(row["arr_delay"] != "NA" for row in rows)
    with LogStore(filled) as store:
        counts = store.names()
        assert counts.pop("RepairBooked")
        assert counts == {
            "FlightDeparted": departed,
            "FlightArrived": arrived,
            "FlightDiverted": departed - arrived,
            "FlightCancelled": len(rows) - departed,
        }


def test_there_is_a_stream_for_each_aircraft_and_one_for_each_carrier_without(rows, filled: Path) -> None:
    aircraft = {f"aircraft-{row['tailnum']}" for row in rows if row["tailnum"] != "NA"}
    carriers = {f"unassigned-{row['carrier']}" for row in rows if row["tailnum"] == "NA"}
    assert carriers
    with LogStore(filled) as store:
        assert {info.stream for info in store.streams(pattern="^(?:aircraft|unassigned)-")} == aircraft | carriers


def test_each_hangar_takes_only_as_many_aircraft_as_it_has_places_for(filled: Path) -> None:
    with Act(LogStore(filled), Aircraft, Hangar) as app, app.store:
        worst = most_delayed(fold_all(app, lambda *_: None))
        head = app.store.head
        again = book_repairs(app, worst)
        outcomes = {booking.stream: booking.outcome for booking in again}
        assert len(again) > 5
        for tag, snapshot in app.replay(Hangar):
            here = [booking.stream for booking in again if booking.airport == tag.removeprefix("hangar:")]
            assert snapshot.state.booked == here[:PLACES]
            assert {outcomes[stream] for stream in here[:PLACES]} == {"booked"}
            assert {outcomes[stream] for stream in here[PLACES:]} <= {f"taken by {here[0]}"}
        assert app.store.head == head


def test_folded_delays_and_miles_are_the_sums_of_the_csv(rows, filled: Path) -> None:
    expected: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        if row["arr_delay"] != "NA":
            sums = expected[f"aircraft-{row['tailnum']}"]
            sums[0] += int(row["arr_delay"])
            sums[1] += int(row["distance"])
            sums[2] += 1
    with LogStore(filled) as store:
        folded = fold_all(Act(store, Aircraft), lambda events, total: None)
    found = {f.stream: [f.state.arrival_delay_minutes, f.state.miles, f.state.arrivals] for f in folded}
    assert {stream: sums for stream, sums in found.items() if sums[2]} == expected
    latest = sorted((sums[0] for sums in expected.values()), reverse=True)[:10]
    assert [f.state.arrival_delay_minutes for f in most_delayed(folded)] == latest


def test_the_log_is_in_the_order_of_time(filled: Path) -> None:
    with LogStore(filled) as store:
        times = [msgspec.json.decode(event.data)["at"] for event in store.query(names=FLIGHT_EVENTS)]
    assert times == sorted(times)


def test_an_aircraft_travelled_back_has_flown_only_what_it_had_flown(rows, filled: Path) -> None:
    moment = datetime(2013, 1, 10, tzinfo=NEW_YORK)
    with LogStore(filled) as store:
        app = Act(store, Aircraft)
        stream = max(store.streams(pattern="^aircraft-"), key=lambda info: info.version).stream
        then = as_of(app, stream, moment)
        at_the_end = app.load(Aircraft, stream).state
    departed = [
        planned + timedelta(minutes=int(row["dep_delay"]))
        for row in rows
        if f"aircraft-{row['tailnum']}" == stream and row["dep_time"] != "NA"
        for planned in [datetime.fromisoformat(row["time_hour"]) + timedelta(minutes=int(row["minute"]))]
    ]
    assert then.departures == sum(at < moment for at in departed)
    assert 0 < then.departures < at_the_end.departures == len(departed)


def test_the_airports_statistics_are_the_sums_of_the_csv(rows, filled: Path) -> None:
    expected: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for row in rows:
        origin, destination = expected[row["origin"]], expected[row["dest"]]
        if row["dep_time"] == "NA":
            origin[2] += 1
            continue
        origin[0] += 1
        origin[1] += int(row["dep_delay"])
        if row["arr_delay"] == "NA":
            destination[5] += 1
        else:
            destination[3] += 1
            destination[4] += int(row["arr_delay"])
    with statistics_at(f"{filled}.db") as statistics:
        assert {name: list(sums) for name, _, *sums in statistics.airports()} == {
            name: sums for name, sums in expected.items() if any(sums)
        }


def test_the_carriers_statistics_are_the_sums_of_the_csv(rows, filled: Path) -> None:
    with statistics_at(f"{filled}.db") as statistics:
        assert {name: tuple(sums) for name, _, *sums in statistics.carriers()} == carriers_in(rows)


def carriers_in(rows: list[dict[str, str]]) -> dict[str, tuple[int, ...]]:
    """Arrivals, minutes late in all, flights that were late, cancellations."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * 4)
    for row in rows:
        carrier = sums[row["carrier"]]
        if row["dep_time"] == "NA":
            carrier[3] += 1
        elif row["arr_delay"] != "NA":
            carrier[0] += 1
            carrier[1] += int(row["arr_delay"])
            carrier[2] += int(row["arr_delay"]) >= 15
    return {name: tuple(carrier) for name, carrier in sums.items() if any(carrier)}


def test_what_sql_says_of_departures_is_what_the_csv_says(rows, filled: Path) -> None:
    delays: dict[str, list[int]] = defaultdict(list)
    by_hour: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row in rows:
        if row["dep_time"] != "NA":
            delays[row["origin"]].append(int(row["dep_delay"]))
            by_hour[row["origin"], int(row["hour"])].append(int(row["dep_delay"]))
    with Act(filled, Aircraft) as app:
        found = origins(app)
        of_the_day = hours(app)
    assert [(each.airport, each.departures) for each in found] == [(name, len(delays[name])) for name in sorted(delays)]
    for each in found:
        assert each.average_minutes == pytest.approx(mean(delays[each.airport]))
        assert each.late_tenth_minutes == pytest.approx(quantiles(delays[each.airport], n=10, method="inclusive")[-1])
    assert {(each.airport, each.hour): each.departures for each in of_the_day} == {
        place: len(minutes) for place, minutes in by_hour.items()
    }
    for each in of_the_day:
        assert each.average_minutes == pytest.approx(mean(by_hour[each.airport, each.hour]))


def test_what_sql_says_of_states_is_what_the_csv_says(rows, filled: Path) -> None:
    with Act(filled, Aircraft) as app:
        found = places(app, most=1000)
    last: dict[str, tuple[datetime, str]] = {}
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for stream, event in history(rows):
        if isinstance(event, FlightDeparted):
            last[stream] = event.at, ""
        elif isinstance(event, FlightArrived):
            last[stream] = event.at, event.destination
            sums[stream][0] += 1
            sums[stream][1] += event.delay_minutes
        elif isinstance(event, FlightDiverted):
            last[stream] = event.at, event.destination if event.reached else ""
    expected: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for stream, (_, airport) in last.items():
        if airport:
            there = expected[airport]
            there[0] += 1
            there[1] += sums[stream][0]
            there[2] += sums[stream][1]
    assert {each.airport: [each.aircraft, each.arrivals] for each in found} == {
        airport: there[:2] for airport, there in expected.items()
    }
    for each in found:
        assert each.average_minutes == pytest.approx(expected[each.airport][2] / each.arrivals)


def test_what_sql_says_of_the_past_is_what_had_happened_by_then(rows, filled: Path) -> None:
    moment = datetime(2013, 1, 10, tzinfo=NEW_YORK)
    with Act(filled, Aircraft) as app:
        fleets = fleet_then_and_now(app, moment)
    arrived = [(stream, event) for stream, event in history(rows) if isinstance(event, FlightArrived)]
    for fleet, until in zip(fleets, (moment, datetime.max.replace(tzinfo=UTC)), strict=True):
        by_then = [(stream, event.miles) for stream, event in arrived if event.at < until]
        miles = sum(each for _, each in by_then)
        assert fleet == (len({stream for stream, _ in by_then}), len(by_then), miles)
    assert 0 < fleets[0].arrivals < fleets[1].arrivals


def test_the_log_is_elsewhere_and_is_read_through(flights: Path, filled: Path, tmp_path: Path) -> None:
    archive = Path(f"{filled}.archive")
    with Act(LogStore(filled), Aircraft) as app:
        assert isinstance(app.store, LogStore)
        assert app.store.stats().archived == app.store.stats().segments - 1 > 0
        before = sum(file.stat().st_size for file in (filled / "log").iterdir())
        assert before < sum(file.stat().st_size for file in archive.rglob("*"))
        worst = most_delayed(fold_all(app, lambda *_: None))
        assert [read_back(app, each) for each in worst] == [each.state for each in worst]
        assert app.store.verify().healthy
        app.store.close()
    archive.rename(tmp_path / "away")
    with LogStore(filled) as store, pytest.raises(ArchiveUnavailableError, match="is not there"):
        list(store.query())
    (tmp_path / "away").rename(archive)


def test_the_picture_of_the_day_is_drawn(filled: Path) -> None:
    drawn = Path(f"{filled}.svg").read_text()
    assert drawn.startswith("<?xml")
    assert drawn.rstrip().endswith("</svg>")


def test_there_is_a_target_for_each_airport_and_each_carrier_and_all_are_caught_up(rows, filled: Path) -> None:
    airports = {row["origin"] for row in rows} | {row["dest"] for row in rows if row["dep_time"] != "NA"}
    carriers = {row["carrier"] for row in rows}
    with Act(LogStore(filled), Aircraft) as app:
        found = list(app.targets())
        app.store.close()
    assert {target.name for target in found} == {f"airport-{a}" for a in airports} | {f"carrier-{c}" for c in carriers}
    assert {target.lag for target in found} == {0}


def test_killed_while_it_reacts_the_statistics_come_out_the_same(rows, flights: Path, tmp_path: Path) -> None:
    arguments = ["--store", str(tmp_path / "killed.act"), "--flights", str(flights), "--durability", "os"]
    with LogStore(tmp_path / "killed.act", durability="os") as watched:
        command = [sys.executable, "-m", "examples.flights", *arguments]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as child:
            left = await_reaction(watched.reactions())
            child.kill()
    assert left, "it was done before it could be killed"
    main(arguments)
    with statistics_at(f"{tmp_path / 'killed.act'}.db") as statistics:
        assert {name: tuple(sums) for name, _, *sums in statistics.carriers()} == carriers_in(rows)


def await_reaction(reactions) -> int:
    """Sleep until a few events have been reacted to, and say how many are left."""
    limit = datetime.now(UTC) + timedelta(seconds=TIMEOUT_SECONDS)
    while datetime.now(UTC) < limit:
        seen = reactions.expect_news()
        targets = reactions.targets()
        if sum(target["watermark"] > 0 for target in targets) > 5:
            return sum(target["lag"] for target in targets)
        reactions.wait_news(seen, 10)
    raise AssertionError(f"it has not reacted after {TIMEOUT_SECONDS} seconds")


def test_running_it_again_appends_nothing(flights: Path, filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LogStore(filled) as store:
        head = store.head
    main(["--store", str(filled), "--flights", str(flights)])
    with LogStore(filled) as store:
        assert store.head == head
    assert capsys.readouterr().out.count("nothing: all was there") == 3, "appended, correlated, reacted"


def test_killed_in_the_middle_it_goes_on_at_the_right_place(flights: Path, filled: Path, tmp_path: Path) -> None:
    arguments = ["--store", str(tmp_path / "killed.act"), "--flights", str(flights)]
    command = [sys.executable, "-m", "examples.flights", *arguments, "--events-per-commit", "7"]
    with LogStore(tmp_path / "killed.act") as watched:
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as child:
            reached = watched.wait(after=1000, timeout=TIMEOUT_SECONDS)
            child.kill()
        killed_at = watched.head
    with LogStore(filled) as store:
        assert 1000 < reached <= killed_at < store.head, "it was done before it could be killed"
    main(arguments)
    assert contents(tmp_path / "killed.act") == contents(filled)


def contents(path: Path) -> list[tuple[str, int, str, bytes]]:
    with LogStore(path) as store:
        return [(event.stream, event.version, event.name, event.data) for event in store.query()]


def test_a_store_of_something_else_is_refused(flights: Path, tmp_path: Path) -> None:
    with LogStore(tmp_path / "other.act") as store:
        store.append("account-7", [("Opened", b"{}")])
    with pytest.raises(SystemExit, match="something else"):
        main(["--store", str(tmp_path / "other.act"), "--flights", str(flights)])
    with LogStore(tmp_path / "other.act") as store:
        assert store.head == 1


def row(**fields: str) -> dict[str, str]:
    """A flight that was planned to leave Newark for San Francisco at 23:59 in New York, which is 04:59 in UTC."""
    usual = {"carrier": "UA", "flight": "7", "tailnum": "N1", "origin": "EWR", "dest": "SFO", "distance": "2565"}
    planned = {"time_hour": "2013-02-02T04:00:00Z", "minute": "59", "dep_time": "15", "dep_delay": "16"}
    return usual | planned | {"arr_time": "317", "arr_delay": "2", "air_time": "340"} | fields


def times(**fields: str) -> list[tuple[str, datetime]]:
    return [(type(event).__name__, event.at) for _, event in history([row(**fields)])]


def utc(day: int, hour: int, minute: int) -> datetime:
    return datetime(2013, 2, day, hour, minute, tzinfo=UTC)


def test_a_flight_over_midnight_keeps_its_day_and_the_destinations_zone() -> None:
    assert times() == [("FlightDeparted", utc(2, 5, 15)), ("FlightArrived", utc(2, 11, 17))]


def test_an_arrival_past_midnight_at_the_destination_is_on_the_next_day() -> None:
    early = {"time_hour": "2013-02-02T00:00:00Z", "minute": "0", "dep_time": "1900", "dep_delay": "0"}
    assert times(**early, arr_time="2400")[1] == ("FlightArrived", utc(2, 8, 0))
    assert times(**early, arr_time="15")[1] == ("FlightArrived", utc(2, 8, 15))


def test_an_airport_without_a_zone_is_in_puerto_ricos() -> None:
    assert times(dest="SJU", arr_time="515")[1] == ("FlightArrived", utc(2, 9, 15))


def test_a_cancelled_flight_is_one_event_at_its_planned_time() -> None:
    never = dict.fromkeys(("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"), "NA")
    assert times(**never) == [("FlightCancelled", utc(2, 4, 59))]


def test_a_cancelled_flight_without_an_aircraft_goes_to_its_carriers_stream() -> None:
    never = dict.fromkeys(("tailnum", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"), "NA")
    assert [happening.stream for happening in history([row(**never)])] == ["unassigned-UA"]


def test_a_diverted_flight_that_came_through_says_when() -> None:
    [_, (_, diverted)] = history([row(arr_delay="NA", air_time="NA", arr_time="900")])
    assert (diverted.reached, diverted.at) == (True, utc(2, 17, 0))


def test_a_diverted_flight_that_was_not_heard_of_again_bears_the_time_of_its_departure() -> None:
    [_, (_, diverted)] = history([row(arr_delay="NA", air_time="NA", arr_time="NA")])
    assert (diverted.reached, diverted.at) == (False, utc(2, 5, 15))


def test_on_postgresql_every_table_has_the_same_figures(
    flights: Path, filled: Path, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--flights", str(flights), "--beside"]
    capsys.readouterr()
    main(["--store", str(filled), *where, str(filled)])
    expected = figures(capsys.readouterr().out)
    main(["--store", postgres_url, *where, str(tmp_path / "beside")])
    found = figures(capsys.readouterr().out)
    assert found == expected
    assert sum("kept by reactions" in title for title in found) == 2
    assert (tmp_path / "beside.svg").read_text().count("<path") == Path(f"{filled}.svg").read_text().count("<path")


def test_on_a_cluster_every_table_has_the_same_figures(
    flights: Path, filled: Path, nats_cluster: NatsServers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--flights", str(flights), "--beside"]
    capsys.readouterr()
    main(["--store", str(filled), *where, str(filled)])
    expected = figures(capsys.readouterr().out)
    address = f"{nats_cluster.url('flights')}?replica={tmp_path / 'replica'}"
    main(["--store", address, *where, str(tmp_path / "beside")])
    assert figures(capsys.readouterr().out) == expected


def figures(out: str) -> dict[str, list[str]]:
    """The lines of each table by its title, without what depends on time and place."""
    tables: dict[str, list[str]] = {}
    title = ""
    for line in out.partition("How late flights leave, hour")[0].splitlines():
        words = line.split()
        if not words or words[0] in PLACE_AND_TIME or set(line.strip()) == {"─"} or "━" in line:
            continue
        if not line.startswith(" ") and "  " not in line.strip():
            title = line.strip()
        else:
            tables.setdefault(title, []).append(" ".join(words))
    return tables


PLACE_AND_TIME = {"appended", "folded", "correlated", "reacted", "durability", "on"}
