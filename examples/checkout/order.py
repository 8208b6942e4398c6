"""An order for a seat: placed, then paid, then ticketed; or over, and why."""

from act_fast import Event, State, action, reducer

__all__ = ["Expired", "Order", "Paid", "Placed", "Refunded", "Refused", "Ticketed"]


class Placed(Event):
    """Somebody wants a seat."""

    seat: str
    cents: int


class Paid(Event):
    """The money has come."""


class Ticketed(Event):
    """The venue has issued the ticket."""

    number: str


class Expired(Event):
    """The seat was taken, or nobody paid in time."""

    reason: str


class Refused(Event):
    """The venue issues no ticket for it."""

    reason: str


class Refunded(Event):
    """The money went back."""

    cents: int


class Order(State):
    """What is known of an order."""

    seat: str = ""
    cents: int = 0
    status: str = "new"
    ticket: str = ""

    @reducer
    def placed(self, event: Placed) -> None:
        """It begins."""
        self.seat, self.cents, self.status = event.seat, event.cents, "placed"

    @reducer
    def paid(self, event: Paid) -> None:
        """The ticket may be issued."""
        self.status = "paid"

    @reducer
    def ticketed(self, event: Ticketed) -> None:
        """It has come to a good end."""
        self.status, self.ticket = "ticketed", event.number

    @reducer
    def expired(self, event: Expired) -> None:
        """It is over, and no money has moved."""
        self.status = "expired"

    @reducer
    def refused(self, event: Refused) -> None:
        """It is over, and the money has to go back."""
        self.status = "refused"

    @reducer
    def refunded(self, event: Refunded) -> None:
        """The money has gone back."""
        self.status = "refunded"

    @action
    def place(self, seat: str, cents: int) -> Placed | None:
        """Order a seat; once."""
        return Placed(seat, cents) if self.status == "new" else None

    @action(retries=10)
    def pay(self) -> Paid | None:
        """Take the money, unless it is too late."""
        return Paid() if self.status == "placed" else None

    @action(retries=10)
    def expire(self, reason: str) -> Expired | None:
        """Give up, unless it was paid."""
        return Expired(reason) if self.status == "placed" else None

    @action(retries=10)
    def ticket_issued(self, number: str) -> Ticketed | None:
        """Note the ticket's number."""
        return Ticketed(number) if self.status == "paid" else None

    @action(retries=10)
    def refuse(self, reason: str) -> Refused | None:
        """Note that there will be no ticket."""
        return Refused(reason) if self.status == "paid" else None

    @action(retries=10)
    def refund(self) -> Refunded | None:
        """Note that the money went back."""
        return Refunded(self.cents) if self.status == "refused" else None
