"""The way into what a store keeps of reactions: targets, leases, frontiers, and news of all that changes them."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, cast

from act_fast import _core
from act_fast._rows import Row
from act_fast.errors import ValidationError

__all__ = ["Found", "LogReactions", "Outcome", "ReactionPort", "ReactionStore", "Spec", "reactions_of"]

Spec: TypeAlias = tuple[str, Sequence[str], str | None, str | None, str, int, bool]
"""reaction, stored names of its events, template or None for a function, source, lane, priority, from now on"""

Leased: TypeAlias = tuple[int, str, int, int, bool, list[Row], list[list[int]], bool]
"""target's number, its name, token, attempts, lagging, events, the reactions of each, whether there are more"""

Outcome: TypeAlias = tuple[int, int, int | None, str, int, int, str]
"""target's number, token, done up to, "free" | "retry" | "block" | "defer", position, due in ms since 1970, error"""

Found: TypeAlias = tuple[int, Sequence[str] | None, str]
"""position, its targets, or None and why they could not be found"""


class ReactionPort(Protocol):
    """The reactions of one program on one store. The verbs are told of in `_core.pyi`; a store may have its own."""

    def register(self, specs: Sequence[Spec]) -> None: ...
    def correlate(self, limit: int) -> tuple[int, int, int, bool, list[tuple[int, int, int, list[Row]]]]: ...
    def resolve(self, reaction: int, from_: int, to: int, found: Sequence[Found], /) -> tuple[int, int]: ...
    def claim(
        self,
        lanes: Sequence[str] | None,
        lagging: int,
        leading: int,
        window: int,
        lease_ms: int,
        holder: int,
        cut: int,
    ) -> list[Leased]: ...
    def finish(self, outcomes: Sequence[Outcome]) -> list[bool]: ...
    def renew(self, leases: Sequence[tuple[int, int]], lease_ms: int) -> list[bool]: ...
    def cut(self) -> int: ...
    def forget(self, reaction: str) -> bool: ...
    def any_ready(self, lanes: Sequence[str] | None = None) -> bool: ...
    def next_ms(self) -> int | None: ...
    def reset(
        self,
        names: Sequence[str] | None = None,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
    ) -> int: ...
    def unblock(
        self, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int: ...
    def block(
        self, error: str, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int: ...
    def defer(
        self, due_ms: int, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int: ...
    def prioritize(
        self, priority: int, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int: ...
    def targets(
        self,
        names: Sequence[str] | None = None,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[dict[str, object]]: ...
    def cursors(self) -> list[tuple[str, int, bool]]: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
    def expect_news(self) -> int: ...
    def wait_news(self, seen: int, timeout_ms: int | None = None) -> int: ...
    def wake(self) -> None:
        """Wake all who wait for news, in this and other processes."""
        ...


class ReactionStore(Protocol):
    """A store that keeps targets, as `LogStore` does."""

    @property
    def head(self) -> int: ...
    def reactions(self) -> ReactionPort: ...


class LogReactions:
    """The reactions of one program on the log: the core's own verbs."""

    def __init__(self, log: _core.Log) -> None:
        core = _core.Reactions.open(log)
        self.register = core.register
        self.correlate = core.correlate
        self.resolve = core.resolve
        self.claim = core.claim
        self.finish = core.finish
        self.renew = core.renew
        self.cut = core.cut
        self.forget = core.forget
        self.any_ready = core.any_ready
        self.next_ms = core.next_ms
        self.reset = core.reset
        self.unblock = core.unblock
        self.block = core.block
        self.defer = core.defer
        self.prioritize = core.prioritize
        self.targets = core.targets
        self.cursors = core.cursors
        self.flush = core.flush
        self.close: Callable[[], None] = core.close
        self.expect_news = log.expect_news
        self.wait_news = log.wait_news

    def wake(self) -> None:
        """Wake all who wait for news."""
        self.defer(0, names=[])  # changes no target, and everybody is told that some may have changed


def reactions_of(store: object) -> ReactionPort:
    """What a store keeps of reactions, opened for one program.

    Raises:
        ValidationError: the store keeps nothing of the kind.
        StoreError: it cannot be opened.
    """
    found = getattr(store, "reactions", None)
    if not callable(found):
        raise ValidationError(
            f"{type(store).__name__} keeps no targets, so reactions cannot run on it; use a LogStore, or give the store"
            " a method `reactions()`"
        )
    return cast("ReactionPort", found())
