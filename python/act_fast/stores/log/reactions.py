"""The reactions of one program on the log: the core's own verbs."""

from collections.abc import Callable
from contextlib import suppress

from act_fast import _core
from act_fast.errors import StoreClosedError

__all__ = ["LogReactions"]


class LogReactions:
    """The reactions of one program on the log: the core's own verbs."""

    def __init__(self, log: _core.Log) -> None:
        self._log = log = log.pin()
        core = _core.Reactions.open(log)
        self.register = core.register
        self.correlate = core.correlate
        self.resolve = core.resolve
        self.attempts_at = core.attempts_at
        self.hold = core.hold
        self.claim = core.claim
        self.finish = core.finish
        self.renew = core.renew
        self.cut = core.cut
        self.forget = core.forget
        self.any_ready = core.any_ready
        self.next_ms = core.next_ms
        self.reset = core.reset
        self.heads = core.heads
        self.skip = core.skip
        self.skipped = core.skipped
        self.unblock = core.unblock
        self.block = core.block
        self.defer = core.defer
        self.prioritize = core.prioritize
        self.targets = core.targets
        self.progress = core.progress
        self.cursors = core.cursors
        self.flush = core.flush
        self.expect_news = log.expect_news
        self.wait_news = log.wait_news
        self.wake = log.wake
        self.expect_moves = log.expect_moves
        self.wait_moves = log.wait_moves
        self._close: Callable[[], None] = core.close
        self._moved: Callable[[], None] = log.moved

    def close(self) -> None:
        """Let go of what is kept; who waits for a target here learns of it."""
        self._close()
        with suppress(StoreClosedError):
            self._moved()

    @property
    def replaced(self) -> bool:
        """Whether a restored log has taken the place of the one that they are kept with, or is about to."""
        return self._log.replaced
