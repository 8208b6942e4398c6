"""The reactions of one program on the log: the core's own verbs."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from act_fast import _core
from act_fast.errors import StoreClosedError

__all__ = ["LogReactions"]


class LogReactions:
    """The reactions of one program on the log: the core's own verbs."""

    def __init__(self, log: _core.Log) -> None:
        self._log = log = log.pin()
        core = _core.Reactions.open(log)
        self.register: Final = core.register
        self.correlate: Final = core.correlate
        self.resolve: Final = core.resolve
        self.attempts_at: Final = core.attempts_at
        self.hold: Final = core.hold
        self.claim: Final = core.claim
        self.finish: Final = core.finish
        self.renew: Final = core.renew
        self.cut: Final = core.cut
        self.forget: Final = core.forget
        self.any_ready: Final = core.any_ready
        self.next_ms: Final = core.next_ms
        self.reset: Final = core.reset
        self.heads: Final = core.heads
        self.skip: Final = core.skip
        self.skipped: Final = core.skipped
        self.unblock: Final = core.unblock
        self.block: Final = core.block
        self.defer: Final = core.defer
        self.prioritize: Final = core.prioritize
        self.targets: Final = core.targets
        self.tally: Final = core.tally
        self.progress: Final = core.progress
        self.cursors: Final = core.cursors
        self.flush: Final = core.flush
        self.expect_news: Final = log.expect_news
        self.wait_news: Final = log.wait_news
        self.wake: Final = log.wake
        self.expect_moves: Final = log.expect_moves
        self.wait_moves: Final = log.wait_moves
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
