"""A batch of which the beginning was handled, and something after it failed."""

__all__ = ["Partly"]


class Partly(Exception):
    """The first events of a batch are handled for good; the one after them has failed.

    Attributes:
        handled: how many events are.
        error: what the next one raised.
    """

    def __init__(self, handled: int, error: Exception) -> None:
        super().__init__(handled, error)
        self.handled = handled
        self.error = error
