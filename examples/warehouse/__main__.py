"""`python -m examples.warehouse [--processes N] [--threads N] [--stock N]`: a rush for teapots, then two orders."""

import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from act_fast import Act
from examples.warehouse.fulfil import place_order
from examples.warehouse.item import Item
from examples.warehouse.order import Order
from examples.warehouse.rush import ITEM, rush


def main(argv: Sequence[str] | None = None) -> None:
    """Run the example."""
    parser = ArgumentParser(prog="python -m examples.warehouse", description="Reservations under contention.")
    parser.add_argument("--processes", type=int, default=3, metavar="N", help="how many rush at once")
    parser.add_argument("--threads", type=int, default=4, metavar="N", help="how many threads each of them has")
    parser.add_argument("--stock", type=int, default=200, metavar="N", help="how many teapots there are")
    arguments = parser.parse_args(argv)
    console = Console()
    with tempfile.TemporaryDirectory() as directory:
        store = Path(directory) / "warehouse.act"
        with Act(store, Item, Order) as app:
            app.do(Item.stock, ITEM, quantity=arguments.stock)
            started = time.perf_counter()
            won = rush(store, arguments.processes, arguments.threads, orders=arguments.stock)
            console.print(_result(app, won, time.perf_counter() - started))
            _two_orders(app, console)


def _result(app: Act, won: Sequence[Sequence[str]], seconds: float) -> Table:
    item = app.load(Item, ITEM)
    table = Table("process", "reserved", title=f"{item.state.on_shelf} teapots, gone in {seconds:.1f} s")
    for number, orders in enumerate(won, 1):
        table.add_row(str(number), str(len(orders)))
    table.add_section()
    table.add_row("all", str(sum(map(len, won))))
    table.add_row("still available", str(item.state.available))
    return table


def _two_orders(app: Act, console: Console) -> None:
    app.do(Item.stock, "item-cup", quantity=6)
    app.do(Item.stock, "item-spoon", quantity=6)
    for order, lines in {
        "order-1": {"item-cup": 4, "item-spoon": 4},
        "order-2": {"item-cup": 2, "item-spoon": 4},
    }.items():
        done = place_order(app, order, lines)
        console.print(f"\n{order} is {done.stage}{f', because {done.reason}' if done.reason else ''}")
        for event in app.query(correlation=order):
            console.print(f"  {event.stream:<10}  {event.name}", highlight=False)


if __name__ == "__main__":
    main()
