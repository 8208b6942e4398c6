"""Reactions on a database: the core's engine on a mirror of the lines that the database keeps.

What the engine does is a *section*. Under the database's lock the mirror takes over what others have changed since, the
engine does its work in memory, and what it has written goes back as one change, all in one transaction. So the rules of
reactions are the core's, and a database has to keep lines, in changes that have numbers, and no more.

Verbs that only look take over what others have changed, too, but take no lock.
"""

import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from act_fast import _core
from act_fast._rows import Row, TargetTally
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import StoreClosedError, StoreError
from act_fast.stores.database.lines import Page
from act_fast.stores.database.news import Told
from act_fast.stores.reaction_port import Found, Head, Leased, Outcome, Spec

__all__ = ["Away", "Keeper", "MirroredReactions", "Outrun", "Seen"]

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 10.0
"""How long a database may be away before a verb fails: its connections may have been lost, or it is restarting."""

_RETRY_SECONDS: Final = 0.05
_OUTRUN_SECONDS: Final = 0.005
_FOLD_CHANGES: Final = 256
_FOLD_LINES: Final = 50_000
"""After so many changes, or with so many lines in them, these are written as lines of their own."""


class Away(StoreError):
    """The connection to the database was lost, or it cannot be reached: the section may be tried again."""


class Outrun(Away):
    """Another process has written a change of the same number: the section is to be done on top of that."""


class Seen(NamedTuple):
    """What a database tells of its lines.

    Attributes:
        known: whether the change that was seen last is still there; if not, all is to be read.
        number: of the last change.
        mark: of the last change.
        folded: the last change whose lines are all among the lines of their own.
        head: the position of the last event.
        now_ms: its time, in ms since 1970.
        changes: since the one that was seen last: number, mark, and lines each.
    """

    known: bool
    number: int
    mark: int
    folded: int
    head: int
    now_ms: int
    changes: Sequence[tuple[int, int, bytes]]


class Keeper(Protocol):
    """What keeps the lines of a mirror, for one program.

    A change has a number, one more than the last, and a mark by which it is told from another one of the same number:
    a database may have lost the last it had. What is asked may raise `Away`; then the transaction is over.
    """

    def look(self, number: int, mark: int) -> Seen:
        """What there is since a change, without a lock."""
        ...

    def begin(self, number: int, mark: int) -> Seen:
        """Begin a transaction, alone in it until it ends; what there is since a change.

        A role that may only read is not alone in it, but sees everything as of one moment; `commit` refuses then.
        """
        ...

    def pages(self) -> Iterator[list[Page]]:
        """All pages of lines of their own; within a transaction."""
        ...

    def changes(self, number: int) -> Iterable[tuple[int, int, bytes]]:
        """All changes after the one with a number; within a transaction."""
        ...

    def fold(self, number: int, addresses: Sequence[int], pages: Sequence[bytes]) -> None:
        """Write pages of lines of their own: with these, all changes up to a number are. Within a transaction."""
        ...

    def commit(self, number: int, mark: int, lines: bytes, lasting: bool) -> int:
        """Write a change, and commit; if it is to be lasting, so that it survives a crash of the server.

        Returns:
            its number: the one that was asked for, or a later one where others have written changes of other lines
            meanwhile.
        """
        ...

    def end(self) -> None:
        """End a transaction in which nothing was written."""
        ...

    def roll_back(self) -> None:
        """Undo a transaction, whatever state it is in. Never fails."""
        ...

    def events(self, positions: Sequence[int]) -> list[Row]:
        """The events at positions, in order; those that are there."""
        ...

    def events_of(
        self, names: Sequence[str], after: int, upto: int, limit: int, data: bool
    ) -> tuple[list[tuple[int, str, str, bytes]], list[Row], bool]:
        """Events with these names between two positions: (position, stream, name, data) and, with data, rows.

        Returns:
            them twice, and whether there may be more.
        """
        ...

    def tell(self, told: Told) -> None:
        """Tell all who wait that there is work, or that targets have moved on."""
        ...

    def expect_news(self) -> int:
        """A mark to hand to `wait_news`."""
        ...

    def wait_news(self, seen: int, timeout_ms: int | None = None) -> int:
        """Sleep until there is news since a mark."""
        ...

    def expect_moves(self) -> int:
        """A mark to hand to `wait_moves`."""
        ...

    def wait_moves(self, seen: int, timeout_ms: int | None = None) -> int:
        """Sleep until targets have moved on since a mark."""
        ...

    def flush(self) -> None:
        """Return when all that was committed would survive a crash of the server."""
        ...

    def check(self) -> None:
        """Refuse to go on once the store is closed, or in a forked child."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class _Sent(NamedTuple):
    """A commit whose answer is not known yet."""

    number: int
    mark: int
    lines: bytes
    answer: Any


class MirroredReactions:
    """The reactions of one program on a database.

    Args:
        keeper: keeps the lines.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._mirror = _core.Mirror()
        core = self._core = self._mirror.reactions()
        self._lock = threading.Lock()  # one section at a time
        self._correlating = threading.Lock()
        self._number, self._mark = -1, 0  # of the last change that is in the mirror
        self._folded = self._head = self._lead_ms = 0
        self._sent: _Sent | None = None
        self._closed = False
        self.next_ms: Final = core.next_ms
        self.expect_news: Final = keeper.expect_news
        self.wait_news: Final = keeper.wait_news
        self.expect_moves: Final = keeper.expect_moves
        self.wait_moves: Final = keeper.wait_moves
        tell_in_child(self)
        weakref.finalize(self, keeper.close).atexit = False
        self._do(lambda: None)

    def forked(self) -> None:
        """Threads that held a lock stayed with the parent."""
        self._lock = threading.Lock()
        self._correlating = threading.Lock()

    def register(self, specs: Sequence[Spec]) -> None:
        """Declare this program's reactions."""
        self._do(lambda: self._core.register(specs))

    def correlate(
        self, limit: int
    ) -> tuple[int, int, int, bool, list[tuple[int, int, int, list[Row]]], list[tuple[int, int, str]]]:
        """Read up to `limit` new events for the reactions that are furthest behind."""
        with self._correlating:
            window = self._look(lambda: self._mirror.next_window(self._head))
            if window is None:
                return 0, 0, 0, True, [], []
            after, upto, names, reads_data, reads_tags = window
            data = reads_data or reads_tags
            events, rows, more = self._keeper.events_of(names, after, upto, max(limit, 1), data)
            if more:
                upto = events[-1][0]
            tags = [row[7] for row in rows] if reads_tags else []
            examined, subscribed, marked, unresolved, failed = self._do(
                lambda: self._mirror.correlate(events, upto, tags)
            )
        if not unresolved:
            return examined, subscribed, marked, False, [], failed
        by_position = {row[0]: row for row in rows}
        asked = [(number, start, end, [by_position[at] for at in of]) for number, start, end, of in unresolved]
        return examined, subscribed, marked, False, asked, failed

    def resolve(self, reaction: int, from_: int, to: int, found: Sequence[Found], /) -> tuple[int, int]:
        """Take what a function found for a reaction's events between two positions."""
        return self._do(lambda: self._core.resolve(reaction, from_, to, found))

    def attempts_at(self, reaction: int, position: int) -> int:
        """How often the targets of an event could not be found for a reaction so far."""
        return self._look(lambda: self._core.attempts_at(reaction, position))

    def hold(self, reaction: int, position: int, attempts: int, due_ms: int | None, error: str) -> bool:
        """Let a reaction hold before an event whose targets could not be found; whether it does."""
        due_ms = None if due_ms is None else max(due_ms + self._lead_ms, 0)
        (row,) = self._keeper.events([position])
        return self._do(lambda: self._mirror.hold(reaction, position, row[3], attempts, due_ms, error))

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
        if not self.any_ready(lanes):  # as of the cut, for which the database was looked at
            return []
        leases = self._do(lambda: self._mirror.lease(lanes, lagging, leading, window, lease_ms, holder, cut))
        wanted = sorted({position for lease in leases for position in lease[5]})
        by_position = {row[0]: row for row in self._keeper.events(wanted)} if wanted else {}
        found: list[Leased] = []
        for number, name, token, attempts, lags, positions, reactions, more, past in leases:
            rows = [by_position[at] for at in positions if at in by_position]
            if len(rows) < len(positions):
                missing = next(at for at in positions if at not in by_position)
                rows, more = [row for row in rows if row[0] < missing], True
                if not rows:
                    error = f"the event at position {missing} is not in the database; restore it from a backup"
                    self.finish([(number, token, None, "block", missing, 0, error)])
                    continue
                reactions = reactions[: len(rows)]
            found.append((number, name, token, attempts, lags, rows, reactions, more, past))
        return found

    def finish(self, outcomes: Sequence[Outcome], blamed: Sequence[int | None] = ()) -> list[bool]:
        """Take the outcomes of a cycle in one step; which of them were accepted."""
        timed = [self._by_its_clock(outcome) for outcome in outcomes]
        return self._do(lambda: self._core.finish(timed, blamed))

    def renew(self, leases: Sequence[tuple[int, int]], lease_ms: int) -> list[bool]:
        """Keep leases for another `lease_ms`; which are still held."""
        return self._do(lambda: self._core.renew(leases, lease_ms))

    def cut(self) -> int:
        """The position that a cycle works up to."""
        return self._look(self._core.cut)

    def forget(self, reaction: str) -> bool:
        """Forget a reaction that no program has any more; whether it was known."""
        return self._do(lambda: self._core.forget(reaction))

    def any_ready(self, lanes: Sequence[str] | None = None) -> bool:
        """Whether a target in these lanes could be claimed now, as far as this process has heard."""
        return self._peek(lambda: self._core.any_ready(lanes))

    def reset(
        self,
        names: Sequence[str] | None = None,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        to: int = 0,
    ) -> int:
        """Let targets handle the events above a position again; how many were reset."""
        return self._do(lambda: self._core.reset(names, pattern, lane, blocked, to), lasting=True)

    def heads(self, target: str, /) -> list[Head]:
        """Where each reaction of a target stands."""
        return self._look(lambda: self._core.heads(target))

    def skip(self, target: str, reaction: str, position: int, note: str) -> None:
        """Step over the next event of a reaction on a target, and keep a note of it that lasts."""
        self._do(lambda: self._core.skip(target, reaction, position, note), lasting=True)

    def skipped(self) -> list[str]:
        """What was noted of skipped events, the oldest first."""
        return self._look(self._core.skipped)

    def unblock(self, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None) -> int:
        """Let blocked targets go on where they stopped, with a fresh budget; how many were blocked."""
        return self._do(lambda: self._core.unblock(names, pattern, lane), lasting=True)

    def block(
        self, error: str, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """Stop targets until they are unblocked; how many were not blocked before."""
        return self._do(lambda: self._core.block(error, names, pattern, lane), lasting=True)

    def defer(
        self, due_ms: int, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """Pause targets until a time of day by the database's clock; how many there are."""
        return self._do(lambda: self._core.defer(due_ms, names, pattern, lane), lasting=True)

    def prioritize(
        self, priority: int, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """Set the priority of targets; how many had another one."""
        return self._do(lambda: self._core.prioritize(priority, names, pattern, lane), lasting=True)

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
        return self._look(lambda: self._core.targets(names, pattern, lane, blocked, after, limit))

    def tally(self, start: int, limit: int, head: int, parts: int, worst: int) -> TargetTally:
        """The targets from a number on, added up."""
        return self._look(lambda: self._core.tally(start, limit, head, parts, worst))

    def progress(self, target: str) -> dict[str, object] | None:
        """How far all that may come to a target has been done; None: nothing may."""
        return self._look(lambda: self._core.progress(target))

    def cursors(self) -> list[tuple[str, int, bool]]:
        """How far each reaction has been correlated."""
        return self._look(self._core.cursors)

    def flush(self) -> None:
        """Return when what is kept would survive a crash of the server."""
        self._keeper.flush()

    def wake(self) -> None:
        """Wake all who wait for news, in this and other processes."""
        self._keeper.check()
        self._keeper.tell(Told(work=True))

    def close(self) -> None:
        """Let go of what is kept. The store itself stays open."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._keeper.close()
            self._core.close()

    def _by_its_clock(self, outcome: Outcome) -> Outcome:
        """An outcome with its time by the database's clock.

        What is to wait for so long waits so long, whatever time it is here. A moment that the program itself waits for
        has come when both clocks say so: it is not ready before.
        """
        number, token, done, then, position, due_ms, error = outcome
        if then == "retry" or (then == "defer" and error):
            due_ms = max(due_ms + self._lead_ms, 0)
        elif then == "defer":
            due_ms = max(due_ms, due_ms + self._lead_ms)
        return number, token, done, then, position, due_ms, error

    def _do(self, work: Callable[[], T], *, lasting: bool = False) -> T:
        """Have the core do something that others are to see."""
        with self._lock:
            return self._again(lambda: self._section(work, lasting))

    def _look(self, work: Callable[[], T]) -> T:
        """Have the core look at something, as it is in the database now."""

        def looked() -> T:
            seen = self._keeper.look(self._number, self._mark)
            if not seen.known or self._sent is not None:
                return self._section(work, False)
            self._take_over(seen)
            return self._only_looked(work)

        with self._lock:
            return self._again(looked)

    def _peek(self, work: Callable[[], T]) -> T:
        """Have the core look at something, as this process knows it."""
        with self._lock:
            return self._again(lambda: self._only_looked(work))

    def _only_looked(self, work: Callable[[], T]) -> T:
        try:
            answer = work()
            if not self._mirror.written():
                self._mirror.kept(self._number, b"")
                return answer
        except BaseException:
            self._mirror.undo()
            raise
        self._mirror.undo()  # it had to write: what is known was not known well
        return self._section(work, False)

    def _again(self, verb: Callable[[], T]) -> T:
        """Do something; while the database is away, try again for a while."""
        end = time.monotonic() + _PATIENCE_SECONDS
        try:
            while True:
                if self._closed:
                    raise StoreClosedError("this store was closed, or its reactions were; open it again")
                self._keeper.check()
                try:
                    return verb()
                except Outrun:
                    time.sleep(random.uniform(0, _OUTRUN_SECONDS))  # so that the same one does not lose each time
                except Away:
                    if time.monotonic() > end:
                        raise
                    time.sleep(_RETRY_SECONDS)
        except BaseException:  # also where it was interrupted: the next verb is another one
            if self._sent is not None:
                self._sent = None
                self._mirror.undo()
            raise

    def _section(self, work: Callable[[], T], lasting: bool) -> T:
        keeper, mirror = self._keeper, self._mirror
        try:
            seen = keeper.begin(self._number, self._mark)
            sent, self._sent = self._sent, None
            number = None if sent is None else next((each[0] for each in seen.changes if each[1] == sent.mark), None)
            if sent is not None and number is not None:
                keeper.end()
                self._kept(sent, number, seen.changes)  # the answer of its commit was lost; what came later is next
                found: T = sent.answer
                return found
            mirror.undo()
            self._take_over(seen)
            answer = work()
            lines = mirror.written()
            if not lines:
                keeper.end()
                self._kept(_Sent(self._number, self._mark, b"", answer), self._number)
                return answer
            self._fold()
            sent = _Sent(self._number + 1, random.getrandbits(62), lines, answer)
            try:
                number = keeper.commit(sent.number, sent.mark, lines, lasting)
                between = keeper.changes(self._number) if number > sent.number else ()
            except Outrun:
                raise
            except Away:
                self._sent = sent  # whether it is there is seen when the database is back
                raise
            self._kept(sent, number, between)
            return answer
        except BaseException:
            if self._sent is None:
                mirror.undo()
            keeper.roll_back()
            raise

    def _kept(self, sent: _Sent, number: int, changes: Iterable[tuple[int, int, bytes]] = ()) -> None:
        """A change is kept under a number. Among `changes` are those of others before it, which wrote other lines."""
        others = [(at, lines) for at, _, lines in changes if at < number]
        woken, moved = self._mirror.kept(number, sent.lines)
        for at, lines in others:
            self._mirror.take_over(at, lines)
        self._number, self._mark = number, sent.mark
        if woken or moved:
            self._keeper.tell(Told(work=woken, moves=moved))

    def _take_over(self, seen: Seen) -> None:
        changes: Iterable[tuple[int, int, bytes]] = seen.changes
        if not seen.known:
            self._mirror.clear()
            for pages in self._keeper.pages():
                self._mirror.take_pages(pages)
            changes = self._keeper.changes(seen.folded)
        for number, mark, lines in changes:
            self._mirror.take_over(number, lines)
            self._number, self._mark = number, mark
        if not seen.known:
            self._number, self._mark = seen.number, seen.mark
        self._folded, self._head = seen.folded, seen.head
        self._lead_ms = seen.now_ms - time.time_ns() // 1_000_000
        self._mirror.begin(seen.head, seen.now_ms, seen.folded)

    def _fold(self) -> None:
        """Now and then, write what is in changes as lines of their own, so that who comes next has little to read."""
        if self._number - self._folded < _FOLD_CHANGES and self._mirror.unfolded_count < _FOLD_LINES:
            return
        self._keeper.fold(self._number, *self._mirror.unfolded())
