"""A seat: free, or held for one order."""

from act_fast import Event, State, action, reducer

__all__ = ["Freed", "Held", "Seat"]


class Held(Event):
    """An order has it."""

    order: str


class Freed(Event):
    """The order gave it back."""

    order: str


class Seat(State):
    """Who has it."""

    order: str = ""

    @reducer
    def held(self, event: Held) -> None:
        """It is taken."""
        self.order = event.order

    @reducer
    def freed(self, event: Freed) -> None:
        """It is free."""
        self.order = ""

    @action(retries=10)
    def hold(self, order: str) -> Held | None:
        """Hold it for an order, if it is free."""
        return Held(order) if not self.order else None

    @action(retries=10)
    def free(self, order: str) -> Freed | None:
        """Give it back, if this order has it."""
        return Freed(order) if self.order == order else None
