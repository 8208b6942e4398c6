"""The rush: threads of several processes reserve the last items of one kind, one for each of their orders."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import takewhile
from pathlib import Path

from act_fast import Act, LogStore
from examples.warehouse.item import Item, SoldOutError

__all__ = ["ITEM", "rush"]

ITEM = "item-teapot"


def rush(path: Path, processes: int, threads: int, orders: int) -> list[Sequence[str]]:
    """Let them all reserve one item at a time, until it is sold out or all have what they want.

    Args:
        path: a store's directory with some `ITEM` in stock.
        processes: how many processes take part.
        threads: how many threads each of them has.
        orders: how many orders each thread has, for one item each.

    Returns:
        for each process, the orders that got an item.
    """
    # Not forked: an open store is not for children, each process opens it for itself.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, fresh) as pool:
        return list(pool.map(_one_process, [path] * processes, [threads] * processes, [orders] * processes))


def _one_process(path: Path, threads: int, orders: int) -> Sequence[str]:
    with LogStore(path) as store, ThreadPoolExecutor(threads) as pool:
        app = Act(store, Item)
        wanted = [[f"order-{os.getpid()}-{thread}-{number}" for number in range(orders)] for thread in range(threads)]
        won = pool.map(lambda orders: list(takewhile(partial(_reserve, app), orders)), wanted)
        return [order for each in won for order in each]


def _reserve(app: Act, order: str) -> bool:
    try:
        app.do(Item.reserve, ITEM, order=order)
    except SoldOutError:
        return False
    return True
