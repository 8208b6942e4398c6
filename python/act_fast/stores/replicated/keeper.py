"""What reactions have come to, on a replica: changes that are records of the ordered log.

A section works on the lines as they are here, and proposes what it has written as a change. Where another one was
faster with one of these lines, its own is refused, and it begins again on what that one has written.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from act_fast._core import Log
from act_fast._rows import Row
from act_fast.errors import OutcomeUnknownError
from act_fast.stores.database.lines import Page
from act_fast.stores.database.mirrored import Away, Outrun, Seen
from act_fast.stores.database.news import Told
from act_fast.stores.replicated.changes import Change, ChangePart
from act_fast.stores.replicated.membership import Joins, Leaves, Membership, There
from act_fast.stores.replicated.presence import Presence
from act_fast.stores.replicated.proposer import Proposer
from act_fast.stores.replicated.state import State

__all__ = ["ReplicaKeeper"]

_PAGE_ROWS: Final = 1000
_CUT_MS: Final = 5
_LEAVE_SECONDS: Final = 2.0
_TURN_SECONDS: Final = 0.5
_LOOK_MS: Final = 10


class ReplicaKeeper:
    """Keeps the lines of one program's mirror.

    Args:
        log: the replica.
        folder: where its state is.
        proposer: of this process.
        check: refuses to go on once the store is closed.

    Attributes:
        generation: of the member that this program is; 0 where it is none.
        version: of who is a member, as of the last look.
    """

    def __init__(self, log: Log, folder: Path, proposer: Proposer, check: Callable[[], None]) -> None:
        self._log = log
        self._state = State(folder)
        self._proposer = proposer
        self._presence: Presence | None = None
        self.generation: int = 0
        self.version: int = 0
        self._version_seen = -1
        self._gave = 0  # the place of the turn that was waited for last
        self._there: frozenset[int] = frozenset()
        self.check: Final = check
        self.expect_news: Final = log.expect_news
        self.wait_news: Final = log.wait_news
        self.expect_moves: Final = log.expect_moves
        self.wait_moves: Final = log.wait_moves

    def look(self, number: int, mark: int) -> Seen:
        """What there is since a change."""
        self._state.begin()
        try:
            return self._seen(number, mark)
        finally:
            self._state.end()

    def begin(self, number: int, mark: int) -> Seen:
        """What there is since a change; the lines stay as they are now until the section ends."""
        self._state.end()
        self._state.begin()
        return self._seen(number, mark)

    def pages(self) -> Iterator[list[Page]]:
        """All lines of their own, each a page of its own."""
        yield self._state.pages()

    def changes(self, number: int) -> Iterable[tuple[int, int, bytes]]:
        """All changes after the one with a number."""
        return self._state.changes(number)

    def fold(self, number: int, addresses: Sequence[int], pages: Sequence[bytes]) -> None:
        """The process that applies does this."""

    def commit(self, number: int, mark: int, lines: bytes, lasting: bool) -> int:
        """Propose a change, which lasts once it was applied; the number that it has got."""
        self._state.end()
        try:
            self._propose(Change(number, mark, self.generation, lines))
        except OutcomeUnknownError as error:
            raise Away(*error.args) from error
        found = self._state.number_of(number - 1, mark)
        if found is None and self.generation and not self.is_member():
            raise Outrun("this program counted as gone, since the others heard nothing from it; it joins again")
        if found is None:
            raise Outrun("another program has changed the same targets")
        return found

    def _propose(self, change: Change) -> None:
        body, limit = change.body(), self._proposer.body_bytes_max
        if len(body) <= limit:
            self._proposer.propose("reactions", body)
        else:
            self._proposer.propose("part", *(each.body() for each in ChangePart.of(change, limit)))

    def end(self) -> None:
        """End a section in which nothing was written."""
        self._state.end()

    def roll_back(self) -> None:
        """End a section that failed."""
        self._state.end()

    def events(self, positions: Sequence[int]) -> list[Row]:
        """The events at positions, in order; those that are there."""
        found: list[Row] = []
        for first, last in _runs(positions):
            query = self._log.query({"after": first - 1, "before": last + 1})
            while (page := query.next_page(_PAGE_ROWS)) is not None:
                found.extend(page)
        return found

    def events_of(
        self, names: Sequence[str], after: int, upto: int, limit: int, data: bool
    ) -> tuple[list[tuple[int, str, str, bytes]], list[Row], bool]:
        """Events with these names between two positions."""
        query = self._log.query({"after": after, "before": upto + 1, "names": names})
        rows: list[Row] = []
        more = True
        while len(rows) < limit:
            page = query.next_page(limit - len(rows))
            if page is None:
                more = False
                break
            rows.extend(page)
        slim = [(row[0], row[1], row[3], row[5] if data else b"") for row in rows]
        return slim, rows if data else [], more

    def tell(self, told: Told) -> None:
        """Tell all on this machine who wait; those on others are told when they have applied it."""
        if told.work:
            self._log.wake()
        if told.moves:
            self._log.moved()

    def membership(self) -> Membership:
        """Who works on targets."""
        return self._state.membership()

    def is_member(self) -> bool:
        """Whether the generation of this program is there, as far as this replica has heard."""
        if self._version_seen != (version := self._state.membership_version()):
            self._version_seen, self._there = version, frozenset(self._state.membership().members)
        return self.generation in self._there

    def join(self, joins: Joins) -> None:
        """Join, and go on saying so; what is committed from now on is under a new generation.

        Raises:
            Away: whether it has joined is not known.
        """
        self._rest()
        try:
            self._proposer.propose("member", msgspec.json.encode(joins))
        except OutcomeUnknownError as error:
            raise Away(*error.args) from error
        self._state.end()
        generation = self._state.membership().generation_of(joins.member)
        if generation is None:
            raise Outrun("this program counted as gone as soon as it had joined; it joins again")
        self.generation = generation
        self._presence = Presence(generation, self._proposer.repeat)

    def say_there(self, reactions: Sequence[str], lanes: Sequence[str] | None) -> None:
        """Say which reactions and lanes this member has by now."""
        if self.generation:
            there = There(self.generation, list(reactions), None if lanes is None else list(lanes))
            self._proposer.say("member", msgspec.json.encode(there))

    def ask_turn(self) -> None:
        """Ask the others to let this member make the next change."""
        if self.generation:
            self._proposer.say(
                "member", msgspec.json.encode(There(self.generation, turn=True)), wait_seconds=_TURN_SECONDS
            )

    def give_turn(self) -> None:
        """Let another member go first whose turn it is; for a moment at most, and once."""
        place, generation = self._state.turn()
        if place == self._gave or generation in (0, self.generation):
            return
        end = time.monotonic() + _TURN_SECONDS
        while self._state.turn()[0] == place and time.monotonic() < end:
            self._log.wait_applied(self._log.applied() + 1, _LOOK_MS)
        self._gave = place

    def leave(self) -> None:
        """Leave, if this program is a member; wait only briefly until that is known."""
        generation = self.generation
        self._rest()
        if generation:
            self._proposer.say("member", msgspec.json.encode(Leaves(generation)), wait_seconds=_LEAVE_SECONDS)

    def forked(self) -> None:
        """What this program was a member for stayed with the parent."""
        self.generation, self._presence = 0, None

    def _rest(self) -> None:
        self.generation = 0
        if self._presence is not None:
            self._presence.end()
            self._presence = None

    def flush(self) -> None:
        """Nothing is left to do: a change that was applied lasts."""
        self.check()

    def close(self) -> None:
        """Let go of the state."""
        self._rest()
        self._state.close()

    def _seen(self, number: int, mark: int) -> Seen:
        last, last_mark, folded, known, self.version = self._state.standing(number, mark)
        changes = self._state.changes(number) if known else ()
        return Seen(known, last, last_mark, folded, self._log.head, self._now_ms(), changes)

    def _now_ms(self) -> int:
        """The log's time; that of this machine where they differ by no more than what was cut off of them."""
        log_ms, own_ms = self._log.log_time(), time.time_ns() // 1_000_000
        return own_ms if abs(log_ms - own_ms) <= _CUT_MS else log_ms


def _runs(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Positions in order as runs of neighbours: the first and the last of each."""
    first = last = 0
    for position in sorted(set(positions)):
        if first and position == last + 1:
            last = position
            continue
        if first:
            yield first, last
        first = last = position
    if first:
        yield first, last
