"""What a projection's methods learn of events that they handle once more, beside what workers do."""

__all__ = ["Repeating"]


class Repeating:
    """A target whose events are handled once more, beside what workers do.

    Attributes:
        name: the target's name.
        upto: up to which position it has handled all that concerns it.
    """

    def __init__(self, name: str, upto: int) -> None:
        self.name = name
        self.upto = upto

    def has(self, position: int) -> bool:
        """See `Handling`."""
        return True

    def begun_at(self, position: int) -> int:
        """See `Handling`."""
        return 1

    def replays(self, name: str, position: int) -> bool:
        """See `Handling`."""
        return position <= self.upto

    def comes_again(self, name: str, position: int) -> bool:
        """See `Handling`."""
        return position <= self.upto
