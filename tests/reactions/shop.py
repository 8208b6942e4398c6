"""An app that worker processes import. `ACT_FAST_SHOP` says where its store is.

Its handlers write down each event, a line at a time, in the file of its target.
"""

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from act_fast import Act, Committed, Event, Lane, LogStore, SqlProjection, State, action, on


class Sold(Event):
    number: int


class Till(State):
    number: int = 0

    @action
    def sell(self, number: int) -> Sold:
        return Sold(number)


class Sums(SqlProjection, name="sums"):
    """What each till has sold; a slip in exactly-once shows."""

    tables = ("sums",)

    def setup(self, db: Any) -> None:
        db.execute(f"create table if not exists {self.table('sums')} (till text primary key, total int, events int)")

    @on(Sold)
    def sold(self, event: Committed[Sold], db: Any) -> None:
        db.execute(
            f"insert into {self.table('sums')} values (?, ?, 1) on conflict (till)"
            " do update set total = total + excluded.total, events = events + 1",
            (event.stream, event.data.number),
        )


def sums_database() -> sqlite3.Connection:
    return sqlite3.connect(here() / "sums.sqlite", check_same_thread=False, timeout=60)


def here() -> Path:
    return Path(os.environ["ACT_FAST_SHOP"])


def write_down(target: str, line: str) -> None:
    """Append a line to a target's file; whole, also when the process is killed right after."""
    file = os.open(here() / "heard" / target, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def open_shop(lease: float = 1.0) -> Act:
    """The app, on its store."""
    store = LogStore(here() / "shop.act", durability="os", segment_bytes=1 << 20)
    app = Act(store, Till, Sums(sums_database), lanes=[Lane("default", lease=lease), Lane("slow", lease=lease)])

    @app.on(Sold, to="by-{stream}")
    def by_till(event: Committed[Sold]) -> None:
        write_down(f"by-{event.stream}", f"{event.position} {os.getpid()}")

    @app.on(Sold, to=lambda event: f"mod-{event.data.number % 5}", lane="slow")
    def by_number(event: Committed[Sold]) -> None:
        write_down(f"mod-{event.data.number % 5}", f"{event.position} {os.getpid()}")

    @app.on(Sold, to="fails-now-and-then", backoff=0.01, retries=50)
    def now_and_then(event: Committed[Sold]) -> None:
        if random.random() < 0.002:
            raise ValueError("now and then")
        write_down("fails-now-and-then", f"{event.position} {os.getpid()}")

    return app


make: Callable[[], Act] = open_shop
