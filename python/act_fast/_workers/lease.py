"""A lease: a target that this process holds for a while, its next events, and what has become of them."""

from typing import Final, Literal, TypeAlias

from act_fast._rows import Row
from act_fast.stores.reaction_port import Leased, Outcome, ReactionPort

__all__ = ["Lease", "Then"]

Then: TypeAlias = Literal["free", "retry", "block", "defer"]

NEVER: Final = float("inf")


class Lease:
    """A target held.

    Attributes:
        number: of the target.
        name: of the target.
        token: proves that it is held.
        attempts: how often the first event has been begun, this time included.
        lagging: whether it was claimed from the lagging frontier.
        rows: its next events.
        reactions: for each of them the numbers of its reactions.
        more: whether there are more.
        lease_ms: for how long it is held, unless it is renewed.
        until: no event is begun after this time of the monotonic clock; nor is any when it is 0.
        done: the position up to which all has succeeded.
        handled: how many events that is.
        then: what comes after them.
        position: of the event that failed.
        due_ms: when to go on, in ms since 1970.
        error: what went wrong, for people.
        port: where it was leased, and is to be finished: another log may have taken the place of this one since.
        ended: whether nothing more will come of it.
    """

    __slots__ = (
        "attempts",
        "done",
        "due_ms",
        "ended",
        "error",
        "handled",
        "lagging",
        "lease_ms",
        "more",
        "name",
        "number",
        "port",
        "position",
        "reactions",
        "rows",
        "then",
        "token",
        "until",
    )

    def __init__(self, leased: Leased, lease_ms: int, port: ReactionPort | None = None) -> None:
        self.port = port
        self.number, self.name, self.token, self.attempts, self.lagging, self.rows, self.reactions, self.more = leased
        self.lease_ms = lease_ms
        self.until = NEVER
        self.done: int | None = None
        self.handled = 0
        self.then: Then = "free"
        self.position = 0
        self.due_ms = 0
        self.error = ""
        self.ended = False

    rows: list[Row]

    def attempts_at(self, position: int) -> int:
        """How often the event at a position has been begun."""
        return self.attempts if position == self.rows[0][0] else 1

    def outcome(self) -> Outcome:
        """What has become of it, for the store."""
        return self.number, self.token, self.done, self.then, self.position, self.due_ms, self.error
