"""The rush: threads of several processes reserve the last items of one kind, each for as many orders as it can."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import count, takewhile
from pathlib import Path

from act_fast import Act, LogStore
from examples.warehouse.item import Item, SoldOutError

__all__ = ["ITEM", "rush"]

ITEM = "item-teapot"


def rush(path: Path, processes: int, threads: int) -> list[Sequence[str]]:
    """Let them all reserve one item at a time until it is sold out.

    Args:
        path: a store's directory with some `ITEM` in stock.
        processes: how many processes take part.
        threads: how many threads each of them has.

    Returns:
        for each process, the orders that got an item.
    """
    # Not forked: an open store is not for children, each process opens it for itself.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, fresh) as pool:
        return list(pool.map(_one_process, [path] * processes, [threads] * processes))


def _one_process(path: Path, threads: int) -> Sequence[str]:
    with LogStore(path) as store, ThreadPoolExecutor(threads) as pool:
        app = Act(store, Item)
        won = pool.map(lambda thread: _one_thread(app, f"order-{os.getpid()}-{thread}"), range(threads))
        return [order for orders in won for order in orders]


def _one_thread(app: Act, name: str) -> Sequence[str]:
    return list(takewhile(lambda order: _reserve(app, order), (f"{name}-{number}" for number in count(1))))


def _reserve(app: Act, order: str) -> bool:
    try:
        app.do(Item.reserve, ITEM, order=order)
    except SoldOutError:
        return False
    return True
