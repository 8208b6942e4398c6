"""What is known of the handling of an event while it goes on: kept in the context, where the event asks for it."""

from contextvars import ContextVar
from typing import Any, Final, Protocol

__all__ = ["Handling", "ambient", "handling"]


class Handling(Protocol):
    """The events that a target is handling.

    Attributes:
        name: the target's name.
    """

    name: str

    def has(self, position: int) -> bool:
        """Whether the event at a position is one of them."""
        ...

    def begun_at(self, position: int) -> int:
        """How often the event at a position may have been begun, this time included."""
        ...

    def replays(self, name: str, position: int) -> bool:
        """Whether the reaction that is running has processed the event of this name at a position before."""
        ...

    def comes_again(self, name: str, position: int) -> bool:
        """The same, or it has stepped over that event: it comes once more because of a reset."""
        ...


ambient: Final[ContextVar[Any]] = ContextVar("act_fast_ambient", default=None)
"""Tasks inherit it from where they are made, as all context variables; so does what `asyncio.to_thread` runs."""


def handling() -> Handling | None:
    """What is being handled here; None outside of reactions."""
    found: Handling | None = getattr(ambient.get(), "handling", None)
    return found
