"""Histories of what clients have asked of streams, and whether one order explains them: linearisability per stream.

Each operation has a time at which it was asked and one at which it was answered, by a clock that all clients share. A
history is linearisable if each operation can be said to have happened at one moment between the two, so that one stream
on one machine would have answered the same. The search is that of Wing and Gong with the memory of Lowe: what is done
so far, and the state that it leads to, is looked at once.

A stream is looked at by itself: a history is linearisable if each stream's is. An append whose outcome is not known may
have happened at any time from when it was asked, or never.

A load on a replica may be behind what other machines have appended; it is checked by `session_violation`: a client
sees what it has written and what it has seen before, and nothing that was never there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

__all__ = ["Append", "Load", "Operation", "linearisable", "session_violation", "violations"]

NEVER = float("inf")


class Append(NamedTuple):
    """One event was to be appended.

    Attributes:
        mark: tells the event from all others.
        expected: the version expected; None for any.
        version: the version that it got; None where it was refused, and where it is not known.
        actual: the version at which the stream was, where that refused it.
    """

    mark: str
    expected: int | None = None
    version: int | None = None
    actual: int | None = None

    @property
    def unknown(self) -> bool:
        """Whether nobody knows what became of it."""
        return self.version is None and self.actual is None


class Load(NamedTuple):
    """A stream was read.

    Attributes:
        marks: of its events, in order.
    """

    marks: tuple[str, ...]


class Operation(NamedTuple):
    """What one client has asked.

    Attributes:
        client: which one; it asks one thing after the other.
        stream: of which stream.
        asked: when.
        answered: when; `NEVER` where the outcome is not known.
        what: and what came of it.
    """

    client: str
    stream: str
    asked: float
    answered: float
    what: Append | Load


class _State(NamedTuple):
    """A stream: how many events it has, and what tells them from any others."""

    version: int = 0
    digest: int = 0

    def with_event(self, mark: str) -> "_State":
        return _State(self.version + 1, hash((self.digest, mark)))


def violations(history: Iterable[Operation]) -> list[str]:
    """The streams whose history no order explains."""
    streams: defaultdict[str, list[Operation]] = defaultdict(list)
    for each in history:
        streams[each.stream].append(each)
    return sorted(stream for stream, operations in streams.items() if not linearisable(operations))


def linearisable(operations: Sequence[Operation]) -> bool:
    """Whether one order explains the operations of one stream."""
    in_order = sorted(operations, key=lambda each: each.asked)
    certain = [each for each in in_order if not _unknown(each)]
    unknown = [each for each in in_order if _unknown(each)]
    seen: set[tuple[int, int, _State]] = set()
    stack: list[tuple[int, int, _State]] = [(0, 0, _State())]
    while stack:
        point = done, tried, state = stack.pop()
        if done + 1 == 1 << len(certain):
            return True
        if point in seen:
            continue
        seen.add(point)
        possible, end = _possible(certain, done)
        # Those that are certain come off the stack first: an unknown one only where there is no way without it.
        for at, each in enumerate(unknown):
            if not tried >> at & 1 and each.asked <= end and (after := _after(state, each.what)) is not None:
                stack.append((done, tried | 1 << at, after))
        for at in reversed(possible):
            if certain[at].asked <= end and (after := _after(state, certain[at].what)) is not None:
                stack.append((done | 1 << at, tried, after))
    return False


def _possible(waiting: Sequence[Operation], done: int) -> tuple[list[int], float]:
    """Which operations may be next, and when the first that is not done was answered."""
    found, end = [], NEVER
    at = (~done & (done + 1)).bit_length() - 1  # the first that is not done
    while at < len(waiting) and waiting[at].asked <= end:
        if not done >> at & 1:
            found.append(at)
            end = min(end, waiting[at].answered)
        at += 1
    return found, end


def _unknown(operation: Operation) -> bool:
    return isinstance(operation.what, Append) and operation.what.unknown


def _after(state: _State, what: Append | Load) -> _State | None:
    """The stream after an operation; None where it cannot have been answered so."""
    if isinstance(what, Load):
        return state if _state_of(what.marks) == state else None
    fits = what.expected is None or what.expected == state.version
    if what.actual is not None:
        return state if what.actual == state.version and not fits else None
    if not fits or what.version not in (None, state.version + 1):
        return None
    return state.with_event(what.mark)


@cache
def _state_of(marks: tuple[str, ...]) -> _State:
    state = _State()
    for mark in marks:
        state = state.with_event(mark)
    return state


def session_violation(history: Iterable[Operation], finally_there: Mapping[str, Sequence[str]]) -> str:
    """What is wrong with what clients have read, each on a replica that may be behind the others; empty if nothing is.

    Args:
        history: in any order.
        finally_there: the marks of each stream's events, in order, as they are at the end.
    """
    known: defaultdict[tuple[str, str], int] = defaultdict(int)
    for each in sorted(history, key=lambda each: each.asked):
        there, key = tuple(finally_there.get(each.stream, ())), (each.client, each.stream)
        if isinstance(each.what, Load):
            marks = each.what.marks
            if marks != there[: len(marks)]:
                return f"{each.client} has read in {each.stream} what is not there: {marks[-3:]}"
            if len(marks) < known[key]:
                return f"{each.client} has read {len(marks)} events of {each.stream}, and knew {known[key]} before"
            known[key] = len(marks)
        elif each.what.version is not None:
            if there.count(each.what.mark) != 1 or there[each.what.version - 1] != each.what.mark:
                return f"{each.what.mark}, acknowledged as {each.stream} {each.what.version}, is not there once"
            known[key] = max(known[key], each.what.version)
        elif each.what.actual is not None and each.what.mark in there:
            return f"{each.what.mark} was refused, and is there in {each.stream}"
    return ""
