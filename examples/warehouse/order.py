"""An order: what is wanted, and how far it has come. Its stream decides; the items' streams follow."""

from typing import Literal

from act_fast import Event, State, ValidationError, action, reducer

__all__ = ["Cancelled", "Confirmed", "Order", "Placed", "Settled"]


class Placed(Event):
    """Somebody wants these items, in these quantities."""

    lines: dict[str, int]


class Confirmed(Event):
    """All items were reserved."""


class Cancelled(Event):
    """One of them could not be; the others are to be released."""

    reason: str


class Settled(Event):
    """What was reserved for a cancelled order has been released."""


class Order(State):
    """What is known of an order."""

    lines: dict[str, int] = {}
    stage: Literal["", "placed", "confirmed", "cancelled", "settled"] = ""
    reason: str = ""

    @reducer
    def was_placed(self, event: Placed) -> None:
        """Note what is wanted."""
        self.lines, self.stage = event.lines, "placed"

    @reducer
    def was_confirmed(self, event: Confirmed) -> None:
        """A good end."""
        self.stage = "confirmed"

    @reducer
    def was_cancelled(self, event: Cancelled) -> None:
        """From here there is no way back."""
        self.stage, self.reason = "cancelled", event.reason

    @reducer
    def was_settled(self, event: Settled) -> None:
        """The other end."""
        self.stage = "settled"

    @action
    def place(self, lines: dict[str, int]) -> Placed | None:
        """Want these items; placing the same order again does nothing."""
        if not lines or min(lines.values()) < 1:
            raise ValidationError("an order names at least one item, and at least one of each")
        return None if self.stage else Placed(lines)

    @action(retries=10)
    def confirm(self) -> Confirmed | None:
        """Say that all is reserved; too late when it was cancelled."""
        return Confirmed() if self.stage == "placed" else None

    @action(retries=10)
    def cancel(self, reason: str) -> Cancelled | None:
        """Give up; too late when it was confirmed."""
        return Cancelled(reason) if self.stage == "placed" else None

    @action(retries=10)
    def settle(self) -> Settled | None:
        """Say that all is released."""
        return Settled() if self.stage == "cancelled" else None
