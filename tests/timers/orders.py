"""Orders that are paid in time, or expire."""

from act_fast import Event, InvariantError, State, action, invariant, reducer

__all__ = ["Expired", "InvariantError", "Order", "Paid", "Placed"]


class Placed(Event):
    pass


class Paid(Event):
    pass


class Expired(Event):
    reason: str


class Order(State):
    status: str = "new"
    expiries: int = 0

    @reducer
    def placed(self, event: Placed) -> None:
        self.status = "open"

    @reducer
    def paid(self, event: Paid) -> None:
        self.status = "paid"

    @reducer
    def expired(self, event: Expired) -> None:
        self.status, self.expiries = "expired", self.expiries + 1

    @invariant("it is not expired")
    def not_expired(self) -> bool:
        return self.status != "expired"

    @action
    def place(self) -> Placed:
        return Placed()

    @action
    def pay(self) -> Paid:
        return Paid()

    @action
    def expire(self, reason: str) -> Expired | None:
        return Expired(reason) if self.status == "open" else None

    @action(requires=[not_expired])
    def insist(self) -> Expired:
        return Expired("insisted")

    @action
    def expire_anyway(self, reason: str = "late") -> Expired:
        return Expired(reason)
