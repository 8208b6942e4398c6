"""An item on the shelf: how many there are, and which orders hold some of them."""

from typing import Annotated

import msgspec

from act_fast import Backoff, Event, State, action, reducer

__all__ = ["Item", "Quantity", "Released", "Reserved", "Shipped", "SoldOutError", "Stocked"]

Quantity = Annotated[int, msgspec.Meta(ge=1)]
"""How many: at least one."""

BRIEFLY = Backoff(first=0.001, longest=0.05)


class SoldOutError(Exception):
    """There are not as many as were asked for."""


class Stocked(Event):
    """Items came in."""

    quantity: int


class Reserved(Event):
    """Items are kept for an order."""

    order: str
    quantity: int


class Released(Event):
    """An order does not want its items after all."""

    order: str


class Shipped(Event):
    """An order's items have left."""

    order: str


class Item(State, snapshot_every=100):
    """What is known of an item."""

    on_shelf: int = 0
    reserved: dict[str, int] = {}

    @property
    def available(self) -> int:
        """How many nobody has reserved."""
        return self.on_shelf - sum(self.reserved.values())

    @reducer
    def stocked(self, event: Stocked) -> None:
        """Put them on the shelf."""
        self.on_shelf += event.quantity

    @reducer
    def kept(self, event: Reserved) -> None:
        """Put the order's name on them."""
        self.reserved[event.order] = event.quantity

    @reducer
    def let_go(self, event: Released) -> None:
        """Take the order's name off."""
        del self.reserved[event.order]

    @reducer
    def left(self, event: Shipped) -> None:
        """Take them off the shelf."""
        self.on_shelf -= self.reserved.pop(event.order)

    @action(retries=100, backoff=BRIEFLY)
    def stock(self, quantity: Quantity) -> Stocked:
        """Take delivery of more."""
        return Stocked(quantity)

    # Asked twice for one order, these three do nothing the second time: whoever died after asking asks again.

    @action(retries=1000, backoff=BRIEFLY)
    def reserve(self, order: str, quantity: Quantity = 1) -> Reserved | None:
        """Keep some for an order, if there are as many. Decided again after every lost race, so never oversold."""
        if order in self.reserved:
            return None
        if quantity > self.available:
            raise SoldOutError(f"{quantity} were asked for, but there are {self.available}")
        return Reserved(order, quantity)

    @action(retries=1000, backoff=BRIEFLY)
    def release(self, order: str) -> Released | None:
        """Give back what an order holds."""
        return Released(order) if order in self.reserved else None

    @action(retries=1000, backoff=BRIEFLY)
    def ship(self, order: str) -> Shipped | None:
        """Send off what an order holds."""
        return Shipped(order) if order in self.reserved else None
