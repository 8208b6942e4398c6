"""A lease: a target that this process holds for a while, its next events, and what has become of them."""

from typing import Final, Literal, TypeAlias

from act_fast._reactions.skipped import never_handled
from act_fast._rows import Row
from act_fast.stores.reaction_port import Leased, Outcome, Past, ReactionPort

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
        past: what the target has been through; None for nearly all.
        reaction: the number of the reaction that is running; kept only of those with a past.
        reaction_name: its name; kept likewise.
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
        blamed: the number of the reaction that failed.
        failures: how often the event that failed has, this time included.
        ended: whether nothing more will come of it.
        took: for how many seconds its events were handled; 0 if they were not.
    """

    __slots__ = (
        "_never_handled",
        "attempts",
        "blamed",
        "done",
        "due_ms",
        "ended",
        "error",
        "failures",
        "handled",
        "lagging",
        "lease_ms",
        "more",
        "name",
        "number",
        "past",
        "port",
        "position",
        "reaction",
        "reaction_name",
        "reactions",
        "rows",
        "then",
        "token",
        "took",
        "until",
    )

    def __init__(self, leased: Leased, lease_ms: int, port: ReactionPort | None = None) -> None:
        self.port = port
        (
            self.number,
            self.name,
            self.token,
            self.attempts,
            self.lagging,
            self.rows,
            self.reactions,
            self.more,
            *past,
        ) = leased
        self.past = past[0] if past else None
        self.reaction = -1
        self.reaction_name = ""
        self._never_handled: dict[int, frozenset[int]] = {}
        self.lease_ms = lease_ms
        self.until = NEVER
        self.done: int | None = None
        self.handled = 0
        self.then: Then = "free"
        self.position = 0
        self.due_ms = 0
        self.error = ""
        self.blamed: int | None = None
        self.failures = 0
        self.ended = False
        self.took = 0.0

    rows: list[Row]
    past: Past | None

    @property
    def lost(self) -> bool:
        """Whether the last lease on the target ran out: its first event may have been begun then."""
        return self.past is not None and self.past[0]

    def failures_of(self, reaction: int, position: int) -> int:
        """How often the event at a position has failed before for a reaction."""
        if self.past is None or position != self.rows[0][0]:
            return 0
        return dict(self.past[2]).get(reaction, 0)

    def start_over(self) -> None:
        """Take it that the first event is another one than was leased as such: it has not failed yet."""
        self.attempts = 1
        if self.past is not None:
            self.past = (False, None, [], self.past[3])

    def has(self, position: int) -> bool:
        """See `Handling`."""
        return self.rows[0][0] <= position <= self.rows[-1][0]

    def begun_at(self, position: int) -> int:
        """See `Handling`."""
        return self.attempts + self.lost if position == self.rows[0][0] else 1

    def replays(self, name: str, position: int) -> bool:
        """See `Handling`."""
        if not self.comes_again(name, position) or self.port is None:
            return False
        if self.reaction not in self._never_handled:
            self._never_handled[self.reaction] = never_handled(self.port, self.name, self.reaction_name)
        return position not in self._never_handled[self.reaction]

    def comes_again(self, name: str, position: int) -> bool:
        """See `Handling`."""
        replays = () if self.past is None else self.past[3]
        return any(number == self.reaction and name == event and position <= upto for number, event, upto in replays)

    def outcome(self) -> Outcome:
        """What has become of it, for the store."""
        return self.number, self.token, self.done, self.then, self.position, self.due_ms, self.error
