"""A shelf with things of one kind, which cannot be reserved twice."""

from act_fast import Backoff, Event, State, action, reducer

__all__ = ["Shelf"]

RETRIES = 10_000
BRIEFLY = Backoff(first=0.0001, longest=0.005)


class Stocked(Event):
    quantity: int


class Reserved(Event):
    order: str


class Shelf(State, snapshot_every=100):
    left: int = 0

    @reducer
    def stocked(self, event: Stocked) -> None:
        self.left += event.quantity

    @reducer
    def reserved(self, event: Reserved) -> None:
        self.left -= 1

    @action
    def stock(self, quantity: int) -> Stocked:
        return Stocked(quantity)

    @action(retries=RETRIES, backoff=BRIEFLY)
    def reserve(self, order: str) -> Reserved:
        if self.left < 1:
            raise LookupError("there is nothing left to reserve")
        return Reserved(order)
