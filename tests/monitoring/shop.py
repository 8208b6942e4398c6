"""A shop whose reactions succeed, fail and wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from act_fast import Act, Committed, Event, State


class Sold(Event):
    amount: int


class Till(State, events=[Sold]):
    amount: int = 0


class Shop:
    """An app, and how its handlers fare: `broken` names what raises, by amount."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.app = Act(path, Till)
        self.broken: set[int] = set()
        self.app.on(Sold, to="mail-{stream}", name="mail", retries=0)(self.handle)
        self.app.on(Sold, to="books", name="books", retries=5, backoff=3600)(self.handle)

    def handle(self, event: Committed[Sold]) -> None:
        if event.data.amount in self.broken:
            raise OSError("no route to host")

    def sell(self, *amounts: int, till: str = "till-1") -> None:
        self.app.store.append(till, [Sold(amount) for amount in amounts])


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    found = Shop(tmp_path / "shop.act")
    yield found
    found.app.close()
