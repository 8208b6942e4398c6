"""The checkout, from end to end: each order comes to its end, and each seat to one buyer or none."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from act_fast import Act
from examples.checkout.order import Expired, Order, Placed, Refunded, Ticketed
from examples.checkout.process import PATIENCE, RefusedError, checkout, timer_of
from examples.checkout.seat import Seat

ROOT = Path(__file__).parent.parent.parent


class Venue:
    """Issues tickets; may be away, and may refuse."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = 0
        self.refuses = False

    def issue(self, order: str) -> str:
        self.asked.append(order)
        if self.away:
            self.away -= 1
            raise OSError("the venue does not answer")
        if self.refuses:
            raise RefusedError("closed")
        return f"T-{order}"


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def reports() -> list[int]:
    return []


@pytest.fixture
def app(venue: Venue, reports: list[int]) -> Iterator[Act]:
    with Act("memory:", checkout(venue.issue, reports.append), debug=True) as app:
        yield app


def order(app: Act, name: str, seat: str = "4A") -> None:
    app.do(Order.place, name, seat=seat, cents=4200)
    app.settle()


def status(app: Act, name: str) -> str:
    return app.load(Order, name).state.status


def holder(app: Act, seat: str = "4A") -> str:
    return app.load(Seat, f"seat-{seat}").state.order


def test_an_order_that_is_paid_in_time_gets_its_ticket(app: Act) -> None:
    order(app, "order-1")
    app.testing.advance(minutes=14)
    app.do(Order.pay, "order-1")
    app.testing.advance(days=1)
    assert (status(app, "order-1"), holder(app)) == ("ticketed", "order-1")
    assert [each.status for each in app.timers()] == ["cancelled"]


def test_an_order_that_nobody_pays_gives_its_seat_to_the_next(app: Act) -> None:
    order(app, "order-1")
    placed = app.testing.now
    app.testing.advance(minutes=20)
    assert (status(app, "order-1"), holder(app)) == ("expired", "")
    [event] = app.query(events=[Expired])
    assert abs(event.created - placed - PATIENCE) < timedelta(seconds=30)
    order(app, "order-2")
    assert holder(app) == "order-2"


def test_a_seat_that_is_taken_is_refused_at_once(app: Act) -> None:
    order(app, "order-1")
    order(app, "order-2")
    assert (status(app, "order-2"), holder(app)) == ("expired", "order-1")
    assert app.timer(timer_of("order-2")) is None


@pytest.mark.parametrize("first", ["pay", "expire"])
def test_paying_and_expiring_at_the_same_moment_leaves_one_of_them(app: Act, first: str) -> None:
    order(app, "order-1")
    app.testing.advance(minutes=14)
    app.testing.advance(minutes=2, settle=False)  # the timer is due, and nobody has done it yet
    if first == "expire":
        app.settle()
    app.do(Order.pay, "order-1")
    app.settle()
    expected = ("ticketed", "order-1") if first == "pay" else ("expired", "")
    assert (status(app, "order-1"), holder(app)) == expected


def test_a_venue_that_refuses_leads_all_the_way_back(app: Act, venue: Venue) -> None:
    venue.refuses = True
    order(app, "order-1")
    app.do(Order.pay, "order-1")
    app.settle()
    assert (status(app, "order-1"), holder(app)) == ("refunded", "")
    assert [event.data.cents for event in app.query(events=[Refunded])] == [4200]


def test_a_venue_that_is_away_is_asked_again(app: Act, venue: Venue) -> None:
    venue.away = 2
    order(app, "order-1")
    app.do(Order.pay, "order-1")
    app.testing.advance(minutes=5)
    assert status(app, "order-1") == "ticketed"
    assert venue.asked == ["order-1"] * 3
    assert len(list(app.query(events=[Ticketed]))) == 1


def test_each_night_is_reported_once(app: Act, reports: list[int]) -> None:
    app.settle()
    for number in range(3):
        order(app, f"order-{number}", seat=str(number))
    app.testing.advance(days=3)
    assert len(reports) == 3
    assert sum(reports) == 3


def test_everything_twice_changes_nothing(app: Act) -> None:
    order(app, "order-1")
    app.do(Order.pay, "order-1")
    app.settle()
    order(app, "order-2", seat="4B")
    app.testing.advance(hours=1)
    before = [event.data for event in app.query()]
    app.reset(pattern="^order-")  # each reaction sees each of its events again
    app.testing.advance(hours=1)
    assert [event.data for event in app.query()] == before
    assert len(list(app.query(events=[Placed]))) == 2


def test_it_runs() -> None:
    command = [sys.executable, "-m", "examples.checkout"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-4:] == [
        "order-1 for seat 4A: ticketed T-1",
        "order-2 for seat 4A: expired",
        "order-3 for seat 4B: refunded",
        "order-4 for seat 4C: expired",
    ]
