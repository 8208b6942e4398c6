"""A batch of which the beginning was handled, and something after it failed."""

__all__ = ["Partly"]


class Partly(Exception):
    """Of a batch of events those up to a position are handled for good; the one after them is not.

    Attributes:
        done: the position; None when it is not known, and so counts for nothing.
        error: what the next event raised, or what keeps it from being begun.
        busy: how often in a row it was only that somebody else is in the way, so that waiting helps; 0 when it failed.
        alone: whether the next event failed by itself, and not together with others after it.
        missing: the position of the event that failed, if it is one from before the batch.
    """

    def __init__(
        self, done: int | None, error: BaseException, *, busy: int = 0, alone: bool = False, missing: int | None = None
    ) -> None:
        super().__init__(done, error)
        self.done = done
        self.error = error
        self.busy = busy
        self.alone = alone
        self.missing = missing
