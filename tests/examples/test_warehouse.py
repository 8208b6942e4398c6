"""The warehouse: nothing is sold twice, and an order comes to its end whatever happens in between."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from act_fast import Act, ValidationError
from act_fast.testing import given
from examples.warehouse.fulfil import carry_on, place_order, unfinished
from examples.warehouse.item import Item, Released, Reserved, Shipped, SoldOutError, Stocked
from examples.warehouse.order import Order
from examples.warehouse.rush import ITEM, rush

ROOT = Path(__file__).parent.parent.parent
STOCK = int(os.environ.get("ACT_FAST_RUSH", "150"))
"""How many items the rush is for; ACT_FAST_RUSH=20000 makes it a long one."""

PROCESSES = 3
THREADS = 4

DIES_AFTER = """
import os, sys
from act_fast import Act
from examples.warehouse.fulfil import place_order
from examples.warehouse.item import Item
from examples.warehouse.order import Order

left = int(sys.argv[2])

def die(snapshot):
    global left
    left -= 1
    if not left:
        os._exit(9)

app = Act(sys.argv[1], Item, Order)
app.observe("committed", die)
place_order(app, "order-1", {"item-cup": 2, "item-spoon": 2, "item-fork": 9})
"""
"""Dies right behind its nth commit. Placed, two reservations, cancelled, two releases, settled: seven in all."""


@pytest.fixture
def app() -> Iterator[Act]:
    with Act("memory:", Item, Order, debug=True) as app:
        yield app


def stocked(app: Act, **items: int) -> None:
    for item, quantity in items.items():
        app.do(Item.stock, f"item-{item}", quantity=quantity)


def available(app: Act) -> dict[str, int]:
    return {found.stream: app.load(Item, found.stream).state.available for found in app.store.streams(pattern="^item-")}


def test_what_is_reserved_is_not_available() -> None:
    given(Item, Stocked(3)).when(Item.reserve, order="o", quantity=2).then(Reserved("o", 2)).state(
        Item(on_shelf=3, reserved={"o": 2})
    )


def test_more_than_is_available_cannot_be_reserved() -> None:
    one_left = given(Item, Stocked(3), Reserved("o", 2))
    one_left.when(Item.reserve, order="p", quantity=2).raises(SoldOutError, "2 were asked for, but there are 1")


def test_an_order_reserves_releases_and_ships_only_once() -> None:
    reserved = given(Item, Stocked(3)).when(Item.reserve, order="o").then(Reserved("o", 1))
    reserved.when(Item.reserve, order="o").then()
    reserved.when(Item.release, order="o").then(Released("o")).when(Item.release, order="o").then()
    reserved.when(Item.ship, order="o").then(Shipped("o")).when(Item.ship, order="o").then().state(Item(on_shelf=2))


@pytest.mark.parametrize("quantity", [0, -1])
def test_nothing_and_less_cannot_be_reserved(quantity: int) -> None:
    given(Item, Stocked(3)).when(Item.reserve, order="o", quantity=quantity).raises(ValidationError, "'quantity'")


def test_a_rush_of_threads_and_processes_sells_all_there_is_and_not_one_more(store_path: Path) -> None:
    with Act(store_path, Item) as app:
        app.do(Item.stock, ITEM, quantity=STOCK)
        won = [order for orders in rush(store_path, PROCESSES, THREADS, STOCK) for order in orders]

        assert len(won) == STOCK
        assert app.load(Item, ITEM).state.reserved == dict.fromkeys(won, 1)
        reserved = [event.data for event in app.query(stream=ITEM, events=[Reserved])]
        assert {event.order for event in reserved if isinstance(event, Reserved)} == set(won)
        assert len(reserved) == STOCK
        assert all(then.state.available >= 0 for then in app.history(Item, ITEM))


def test_an_order_gets_all_of_its_items(app: Act) -> None:
    stocked(app, cup=3, spoon=3)
    order = place_order(app, "order-1", {"item-cup": 2, "item-spoon": 3})
    assert order.stage == "confirmed"
    assert available(app) == {"item-cup": 1, "item-spoon": 0}


def test_or_none_of_them(app: Act) -> None:
    stocked(app, cup=3, spoon=3)
    order = place_order(app, "order-1", {"item-cup": 2, "item-spoon": 4})
    assert (order.stage, order.reason) == ("settled", "4 were asked for, but there are 3")
    assert available(app) == {"item-cup": 3, "item-spoon": 3}


def test_the_whole_process_is_found_by_the_orders_name(app: Act) -> None:
    stocked(app, cup=3, spoon=3)
    place_order(app, "order-1", {"item-cup": 2, "item-spoon": 4})
    assert [(each.stream, each.name) for each in app.query(correlation="order-1")] == [
        ("order-1", "Placed"),
        ("item-cup", "Reserved"),
        ("order-1", "Cancelled"),
        ("item-cup", "Released"),
        ("order-1", "Settled"),
    ]


@pytest.mark.parametrize("lines", [{}, {"item-cup": 0}])
def test_an_order_of_nothing_is_refused(app: Act, lines: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="at least one"):
        place_order(app, "order-1", lines)
    assert app.store.head == 0


@pytest.mark.parametrize("commits", range(1, 8))
def test_whoever_dies_behind_a_commit_leaves_an_order_that_can_be_carried_on(store_path: Path, commits: int) -> None:
    with Act(store_path, Item, Order) as app:
        stocked(app, cup=3, spoon=3, fork=3)
        command = [sys.executable, "-c", DIES_AFTER, str(store_path), str(commits)]
        died = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (died.returncode, died.stderr) == (9, "")

        assert list(unfinished(app)) == ([] if commits == 7 else ["order-1"])
        assert carry_on(app, "order-1").stage == "settled"
        assert list(unfinished(app)) == []
        assert available(app) == {"item-cup": 3, "item-spoon": 3, "item-fork": 3}


def test_two_who_carry_on_the_same_order_come_to_the_same_end(app: Act) -> None:
    stocked(app, cup=100, spoon=50)
    for number in count(1):
        order = f"order-{number}"
        app.do(Order.place, order, lines={"item-cup": 1, "item-spoon": 1})
        with ThreadPoolExecutor(2) as both:
            ends = list(both.map(lambda order: carry_on(app, order).stage, [order, order]))
        assert ends[0] == ends[1]
        if ends[0] == "settled":
            break
    assert available(app) == {"item-cup": 50, "item-spoon": 0}


def test_the_program_ends_with_everything_sold() -> None:
    command = [sys.executable, "-m", "examples.warehouse", "--processes", "2", "--threads", "2", "--stock", "20"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in ran.splitlines()]
    assert ["│", "all", "│", "20", "│"] in lines
    assert ["│", "still", "available", "│", "0", "│"] in lines
    assert "order-2 is settled, because 4 were asked for, but there are 2" in ran
