"""The way into what a store keeps of reactions: targets, leases, frontiers, and news of all that changes them."""

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias, cast

from act_fast._rows import Row
from act_fast.errors import ValidationError

__all__ = [
    "NOT_BEGUN",
    "Found",
    "Head",
    "Member",
    "Outcome",
    "Past",
    "ReactionPort",
    "Spec",
    "member_of",
    "offers_reactions",
    "reactions_of",
]

Spec: TypeAlias = tuple[str, Sequence[str], str | None, str | None, str, int, bool, Sequence[str]]
"""reaction, stored names of its events, template or None for a function, source, lane, priority, from now on, and the
tags that its events carry, all of them"""

Past: TypeAlias = tuple[bool, str | None, list[tuple[int, int]], list[tuple[int, str, int]]]
"""whether the last lease ran out, what went wrong before; by the number of the reaction, how often the first event has
failed, and by the event's name, too, the position up to which it does again what it did before"""

Leased: TypeAlias = tuple[int, str, int, int, bool, list[Row], list[list[int]], bool, Past | None]
"""target's number, its name, token, attempts, lagging, events, the reactions of each, whether there are more, and what
it has been through, if that is anything out of the ordinary"""

Outcome: TypeAlias = tuple[int, int, int | None, str, int, int, str]
"""target's number, token, done up to, "free" | "retry" | "block" | "defer", position, due in ms since 1970, error"""

NOT_BEGUN: Final = 2**32 - 1
"""No reaction's number: none was begun."""

Head: TypeAlias = tuple[str, int | None, int, int]
"""reaction, position of its next event or None, how often that has failed, how many events it has processed"""

Found: TypeAlias = tuple[int, Sequence[str]]
"""position, its targets"""


class ReactionPort(Protocol):
    """The reactions of one program on one store."""

    def register(self, specs: Sequence[Spec]) -> None:
        """Declare this program's reactions. Their order gives the numbers that leases refer to."""
        ...

    def correlate(
        self, limit: int
    ) -> tuple[int, int, int, bool, list[tuple[int, int, int, list[Row]]], list[tuple[int, int, str]]]:
        """Read up to `limit` new events for the reactions that are furthest behind.

        Returns:
            (examined, subscribed, marked, caught up, unresolved, failed). Unresolved is (reaction, from, to, rows) for
            each reaction whose targets a function has to find, failed (reaction, position, error) for each whose
            template could not be filled in: `hold` says what becomes of it.
        """
        ...

    def resolve(self, reaction: int, from_: int, to: int, found: Sequence[Found], /) -> tuple[int, int]:
        """Take what a function found for a reaction's events between two positions; (subscribed, marked).

        Where it failed at an event, `to` is the position before that one.
        """
        ...

    def attempts_at(self, reaction: int, position: int) -> int:
        """How often the targets of an event could not be found for a reaction so far."""
        ...

    def hold(self, reaction: int, position: int, attempts: int, due_ms: int | None, error: str) -> bool:
        """Let a reaction hold before an event whose targets could not be found; whether it does.

        Args:
            reaction: its number.
            position: of the event.
            attempts: how often it was tried, this time included.
            due_ms: when it is tried again, in ms since 1970; None: when it is unblocked.
            error: what went wrong, for people.
        """
        ...

    def claim(
        self,
        lanes: Sequence[str] | None,
        lagging: int,
        leading: int,
        window: int,
        lease_ms: int,
        holder: int,
        cut: int,
    ) -> list[Leased]:
        """Lease up to `lagging` and `leading` targets that have work up to `cut`, with their next events."""
        ...

    def finish(self, outcomes: Sequence[Outcome], blamed: Sequence[int | None] = ()) -> list[bool]:
        """Take the outcomes of a cycle in one step; which of them were accepted.

        `blamed` has the number of the reaction that failed for each outcome, where one did; `NOT_BEGUN` for an event
        that is given up without having been begun.
        """
        ...

    def renew(self, leases: Sequence[tuple[int, int]], lease_ms: int) -> list[bool]:
        """Keep leases, (target number, token) each, for another `lease_ms`; which are still held."""
        ...

    def cut(self) -> int:
        """The position that a cycle works up to."""
        ...

    def forget(self, reaction: str) -> bool:
        """Forget a reaction that no program has any more; whether it was known."""
        ...

    def any_ready(self, lanes: Sequence[str] | None = None) -> bool:
        """Whether a target in these lanes could be claimed now."""
        ...

    def next_ms(self) -> int | None:
        """How many ms until a lease ends, or a retry or deferral is due; None when nothing waits."""
        ...

    def reset(
        self,
        names: Sequence[str] | None = None,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        to: int = 0,
    ) -> int:
        """Let targets handle the events above a position again; how many were reset."""
        ...

    def heads(self, target: str, /) -> list[Head]:
        """Where each reaction of a target stands."""
        ...

    def skip(self, target: str, reaction: str, position: int, note: str) -> None:
        """Step over the next event of a reaction on a target, which is at `position`, and keep a note of it."""
        ...

    def skipped(self) -> list[str]:
        r"""What was noted of skipped events, the oldest first.

        In between is which targets were reset after which position since: `position\ttarget`.
        """
        ...

    def unblock(self, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None) -> int:
        """Let blocked targets go on where they stopped, with a fresh budget; how many were blocked."""
        ...

    def block(
        self, error: str, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """Stop targets until they are unblocked; how many were not blocked before."""
        ...

    def defer(
        self, due_ms: int, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """Pause targets until a time of day, in ms since 1970; how many there are."""
        ...

    def prioritize(
        self, priority: int, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """Set the priority of targets; how many had another one."""
        ...

    def targets(
        self,
        names: Sequence[str] | None = None,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[dict[str, object]]:
        """What is kept of targets, ordered by when they were first seen."""
        ...

    def progress(self, target: str) -> dict[str, object] | None:
        """How far all that may come to a target has been done, whether it is there yet or not; None: nothing may."""
        ...

    def cursors(self) -> list[tuple[str, int, bool]]:
        """How far each reaction has been correlated: (reaction, position, whether this program has code for it)."""
        ...

    def flush(self) -> None:
        """Flush what is kept."""
        ...

    def close(self) -> None:
        """Let go of what is kept. The store itself stays open."""
        ...

    def expect_news(self) -> int:
        """A mark to hand to `wait_news`: news from now on ends the wait."""
        ...

    def wait_news(self, seen: int, timeout_ms: int | None = None) -> int:
        """Sleep until there is news since a mark, or the time-out in ms passes; the new mark."""
        ...

    def expect_moves(self) -> int:
        """A mark to hand to `wait_moves`: a target that moves on from now on ends the wait."""
        ...

    def wait_moves(self, seen: int, timeout_ms: int | None = None) -> int:
        """Sleep until targets have moved on since a mark, or the time-out in ms passes; the new mark."""
        ...

    def wake(self) -> None:
        """Wake all who wait for news, in this and other processes."""
        ...


class Member(Protocol):
    """What a `ReactionPort` has besides where targets are shared out among the programs that run workers."""

    def join(self, holder: int, lanes: Sequence[str] | None) -> None:
        """Claim from now on what belongs to this program, which works on these lanes; None: all."""
        ...

    def leave(self) -> None:
        """Run no workers any more."""
        ...

    def whole(self, whole: bool) -> None:
        """Claim whatever is ready, whomever it belongs to, until this is called again with False."""
        ...


def member_of(port: ReactionPort) -> Member | None:
    """A port as a member of those that share targets; None where all claim what they find."""
    return cast("Member", port) if callable(getattr(port, "join", None)) else None


def offers_reactions(store: object) -> bool:
    """Whether a store keeps anything of reactions."""
    return callable(getattr(store, "reactions", None))


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
