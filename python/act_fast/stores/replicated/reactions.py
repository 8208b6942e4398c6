"""The reactions of one program on a replica: those of a mirror, and the program's membership where it runs workers."""

import os
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, TypeVar

from act_fast._rows import Row
from act_fast.errors import StoreError
from act_fast.stores.database.mirrored import MirroredReactions, Outrun, Seen
from act_fast.stores.reaction_port import Outcome, Spec
from act_fast.stores.replicated.keeper import ReplicaKeeper
from act_fast.stores.replicated.membership import Joins

__all__ = ["ReplicaReactions"]

T = TypeVar("T")

_OUTRUN_MAX: Final = 2
"""Others may have been faster so often; then this program asks to go first."""

_CROWDED_EVENTS: Final = 2_000
"""So many events are correlated at once where others were faster."""


class _Wanted(NamedTuple):
    """What a program that runs workers joins as."""

    member: str
    holder: int
    lanes: list[str] | None


class _Finish:
    """What a thread wants to finish, and what became of it."""

    __slots__ = ("accepted", "blamed", "error", "outcomes")

    def __init__(self, outcomes: Sequence[Outcome], blamed: Sequence[int | None]) -> None:
        self.outcomes = outcomes
        self.blamed = blamed
        self.accepted: list[bool] | None = None
        self.error: BaseException | None = None


class ReplicaReactions(MirroredReactions):
    """The reactions of one program on a replica.

    While the program runs workers it is a member, and claims the targets that belong to it. Should it be gone, since
    nothing was heard of it for too long, it drops what it had leased, and joins again.

    Args:
        keeper: keeps the lines.
    """

    def __init__(self, keeper: ReplicaKeeper) -> None:
        self._replica = keeper
        self._wanted: _Wanted | None = None
        self._reactions: list[str] = []
        self._shared: tuple[int, int, bool] | None = None
        self._whole = False
        self._finishing = threading.Lock()
        self._finishes: deque[_Finish] = deque()
        self._fenced = False  # what it has leased is of a generation that is gone
        self._dropped = False
        self._shares = False  # with others
        self._outrun = 0  # how often others were faster since it has done something
        self._crowded = False  # they were while it correlated
        self._asking = 0  # the thread that asks to go first
        super().__init__(keeper)

    def register(self, specs: Sequence[Spec]) -> None:
        """Declare this program's reactions."""
        super().register(specs)
        self._reactions += [spec[0] for spec in specs]
        self._say_what_there_is()

    def correlate(
        self, limit: int
    ) -> tuple[int, int, int, bool, list[tuple[int, int, int, list[Row]]], list[tuple[int, int, str]]]:
        """Read up to `limit` new events for the reactions that are furthest behind.

        It writes lines of all targets of these events, on which others are at work meanwhile. So that they are not
        faster each time, it takes fewer at once then, and asks to go first.
        """
        if self._wanted is not None and not self._replica.is_member():
            self._do(lambda: None)  # it joins again, whether there is anything to do or not
        if not self._crowded:
            return super().correlate(limit)
        limit = min(limit, _CROWDED_EVENTS)
        self._asking = threading.get_ident()
        try:
            found = super().correlate(limit)
        finally:
            self._asking = 0
        self._crowded = found[0] >= limit
        return found

    def finish(self, outcomes: Sequence[Outcome], blamed: Sequence[int | None] = ()) -> list[bool]:
        """Take the outcomes of a cycle in one step; which of them were accepted.

        What several threads finish while the last change is under way becomes one change.
        """
        own = _Finish(outcomes, [*blamed, *[None] * (len(outcomes) - len(blamed))])
        self._finishes.append(own)
        with self._finishing:
            if own.accepted is None and own.error is None:
                self._finish_all(own)
        if own.error is not None:
            raise own.error
        assert own.accepted is not None
        return own.accepted

    def _finish_all(self, own: _Finish) -> None:
        every: list[_Finish] = []
        while self._finishes:
            every.append(self._finishes.popleft())
        try:
            outcomes = [each for one in every for each in one.outcomes]
            accepted = iter(super().finish(outcomes, [each for one in every for each in one.blamed]))
        except Exception as error:
            for each in every:
                each.error = error
            raise
        except BaseException:  # this thread was interrupted, and no other one
            self._finishes.extend(each for each in every if each is not own)
            raise
        for each in every:
            each.accepted = [next(accepted) for _ in each.outcomes]

    def join(self, holder: int, lanes: Sequence[str] | None) -> None:
        """Be a member from now on, whose workers have these lanes; None: all. If it is one, it has these now."""
        lanes = None if lanes is None else sorted(lanes)
        if self._wanted is not None:
            self._wanted = self._wanted._replace(lanes=lanes)
            self._say_what_there_is()
            return
        self._wanted = _Wanted(secrets.token_hex(8), holder, lanes)
        with suppress(StoreError):  # the engine is away: the first section that can be done joins
            self._do(lambda: None)

    def leave(self) -> None:
        """Be no member any more: targets belong to others."""
        with self._lock:
            self._wanted = None
            self._replica.leave()

    def whole(self, whole: bool) -> None:
        """Claim whatever is ready, whomever it belongs to, until this is called again with False."""
        with self._lock:
            self._whole = whole
            if self._shared is not None and self._wanted is not None:
                self._share()

    def owned(self) -> dict[int, int]:
        """How many targets belong to each member, by its generation."""
        return self._look(self._mirror.owned)

    def forked(self) -> None:
        """The workers stayed with the parent."""
        super().forked()
        self._finishing = threading.Lock()
        self._finishes.clear()
        self._wanted = None
        self._replica.forked()

    def close(self) -> None:
        """Let go of what is kept. The store itself stays open."""
        if not self._closed and self._wanted is not None:
            self.leave()
        super().close()

    def _section(self, work: Callable[[], T], lasting: bool) -> T:
        wanted, replica = self._wanted, self._replica
        self._take_turns()
        if wanted is not None and not replica.is_member():
            self._fenced = self._fenced or replica.generation != 0
            replica.join(Joins(wanted.member, _node(), wanted.holder, self._reactions, wanted.lanes))
        try:
            answer = super()._section(work, lasting) if not self._fenced else self._section_afresh(work, lasting)
        except Outrun:
            self._outrun += 1
            self._crowded = True
            raise
        self._outrun = 0
        return answer

    def _section_afresh(self, work: Callable[[], T], lasting: bool) -> T:
        """A section that first drops what was leased under a generation that is gone."""
        if self._sent is None:
            self._dropped = False

        def afresh() -> T:
            self._mirror.abandon()
            self._dropped = True
            return work()

        answer = super()._section(afresh, lasting)
        self._fenced = not self._dropped  # the answer may be of a section that was begun before
        return answer

    def _take_turns(self) -> None:
        """Let a member that has asked go first; ask for that if others were faster, or are likely to be."""
        if self._shares:
            self._replica.give_turn()
            if self._outrun >= _OUTRUN_MAX or self._asking == threading.get_ident():
                self._replica.ask_turn()

    def _take_over(self, seen: Seen) -> None:
        super()._take_over(seen)
        if self._shared != self._what_is_shared():
            self._share()

    def _share(self) -> None:
        replica = self._replica
        membership = replica.membership()
        own = replica.generation if replica.generation in membership.members and not self._whole else None
        members = [
            (each.generation, each.holder, set(each.reactions), each.lanes) for each in membership.members.values()
        ]
        here = {each.holder for each in membership.members.values()}
        self._mirror.share(members, own, set(membership.gone) - here)
        self._shared = self._what_is_shared()
        self._shares = bool(membership.members.keys() - {replica.generation})

    def _what_is_shared(self) -> tuple[int, int, bool]:
        """What the share of this program depends on: who is there, which of them it is, and whether it takes all."""
        replica = self._replica
        return replica.version, replica.generation, self._whole and replica.generation != 0

    def _say_what_there_is(self) -> None:
        if self._wanted is not None:
            self._replica.say_there(self._reactions, self._wanted.lanes)


def _node() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
