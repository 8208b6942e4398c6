"""What handlers have heard: a list that tests can wait on."""

import threading
from collections.abc import Callable
from typing import Any

from act_fast import Act, Committed
from tests.support.bank import Account

PATIENCE_SECONDS = 60.0


class Heard:
    """Keeps the events that it is called with. As a handler it never fails."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.events: list[Committed[Any]] = []

    def __call__(self, event: Committed[Any]) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    @property
    def positions(self) -> list[int]:
        """Where they are in the log, in the order in which they came."""
        return [event.position for event in self.events]

    @property
    def places(self) -> list[tuple[str, int]]:
        """The streams and versions."""
        return [(event.stream, event.version) for event in self.events]

    def await_count(self, count: int) -> None:
        """Sleep until so many have come."""
        self.await_that(lambda: len(self.events) >= count)

    def await_that(self, condition: Callable[[], bool]) -> None:
        """Sleep until something holds that hearing an event makes true."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_SECONDS), f"heard no more than {self.positions}"


def deposit(app: Act, *streams: str, amount: int = 1) -> None:
    """One deposit into each of these accounts, in this order."""
    for stream in streams:
        app.do(Account.deposit, stream, amount=amount)
