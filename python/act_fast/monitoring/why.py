"""In words, why has nothing happened: what a target is doing, and why it has come no further."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec

from act_fast._events.committed import Committed
from act_fast._reactions.targets import Cursor, Target, cursors, holding, state_of, targets
from act_fast.errors import StoreError, ValidationError
from act_fast.monitoring.words import counted
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import ReactionPort

__all__ = ["Answer", "told_address", "why"]

_SECRET: Final = re.compile("pass|secret|token|credential|key", re.IGNORECASE)
"""Options of an address with such names may hold secrets."""


class Answer(msgspec.Struct):
    """What is said of a target.

    Attributes:
        target: its name.
        state: its state in a word or two.
        reasons: a sentence each.
        errors: the errors in these.
        tags: of the event that it fails at.
    """

    target: str
    state: str
    reasons: list[str]
    errors: list[str] = []
    tags: Sequence[str] = ()


def told_address(path: str) -> str:
    """What to write in other commands: the address as it was given, without what may be a password."""
    if "://" not in path:
        return path
    parts = urlsplit(path)
    user, at, host = parts.netloc.rpartition("@")
    kept = [each for each in parts.query.split("&") if not _SECRET.search(each.partition("=")[0])]
    return parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}", query="&".join(kept)).geturl()


def why(store: Store, port: ReactionPort, name: str, path: str) -> Answer:
    """Explain what a target is doing, whether it exists or not.

    Args:
        store: where its events are.
        port: what the store keeps of reactions.
        name: the target's name.
        path: what the commands in the answer call the store.
    """
    head, known = store.head, cursors(port)
    try:
        found = next(targets(port, name), None)
    except ValidationError:
        found = None
    if found is None:
        return Answer(name, "not there", list(_why_not_there(port, name, known, head, path)), _errors(port, known))
    known = [each for each in known if each.reaction in found.reactions]
    event = _Event(store, port, found)
    reasons = [*_why(found, path, event), *_not_correlated(port, known, head, path)]
    own = [found.error] if found.error else []
    return Answer(name, state_of(found), reasons, [*own, *_errors(port, known)], event.tags)


def _errors(port: ReactionPort, known: list[Cursor]) -> list[str]:
    """Why the targets of events cannot be found."""
    holds = [holding(port, each.reaction) for each in known]
    return [each.error for each in holds if each is not None and each.error]


class _Event:
    """The event that a target is at, and the reactions that it is at it for."""

    def __init__(self, store: Store, port: ReactionPort, target: Target) -> None:
        heads = port.heads(target.name)
        self.processed = max((processed for *_, processed in heads), default=0)
        failing = [name for name, at, failures, _ in heads if at == target.failing and failures]
        self.reactions = failing or [name for name, at, *_ in heads if at is not None and at == target.failing]
        found = None if target.failing is None else _at_position(store, target.failing)
        self.tags: Sequence[str] = () if found is None else found.tags
        self.told = None if found is None else f"{found.name}, version {found.version} of stream {found.stream!r}"

    def words(self) -> Iterator[str]:
        """What they are."""
        one = len(self.reactions) == 1
        names = ", ".join(map(repr, self.reactions))
        of = f"; {'the reaction is' if one else 'the reactions are'} {names}" if names else ""
        if self.told is not None:
            tags = f", tagged {', '.join(self.tags)}" if self.tags else ""
            yield f"the event is {self.told}{tags}{of}"


def _at_position(store: Store, position: int) -> Committed[bytes] | None:
    try:
        return next(store.query(after=position - 1, before=position + 1, limit=1), None)
    except StoreError:
        return None  # it cannot be read, as the error says


def _why(target: Target, path: str, event: _Event) -> Iterator[str]:
    at = shlex.join([path, target.name])
    if target.blocked:
        yield f"it is blocked{_at(target)}{_tries(target)}: {target.error}"
        yield from event.words()
        if event.told is not None and target.failing is not None:
            yield f"to look at it: act-fast events {shlex.quote(path)} --after {target.failing - 1} --limit 1"
        yield f"to continue at that event: act-fast unblock {at}"
        if event.reactions:
            which = shlex.join(["--reaction", event.reactions[0]]) if len(target.reactions) > 1 else ""
            yield f"to step over it for good: act-fast skip {at} {which}{' ' if which else ''}--reason '...'"
        done = counted(event.processed, "event")
        repeats = f"; its handlers repeat all that they have done for {done}" if event.processed else ""
        yield f"to start over from the first event: act-fast reset {at}{repeats}"
    elif target.holder is not None:
        yield _held(target)
    elif target.due is not None and target.attempts:
        yield f"an attempt has failed{_at(target)}{_tries(target)}: {target.error}"
        yield from event.words()
        yield f"the next one is {_when(target.due)}"
    elif target.due is not None:
        yield f"it is deferred, and continues {_when(target.due)}"
    elif target.lag:
        if target.error and target.attempts:
            yield f"an attempt has failed{_at(target)}{_tries(target)}: {target.error}; it may be tried again by now"
        yield (
            f"it has {counted(target.lag, 'event')} to process but no worker holds it: no worker is running that has"
            f" the code of {_reactions(target)} and takes lane {target.lane!r}, or all its workers are busy with others"
        )
    else:
        yield f"it has processed everything that concerns it so far, the last at position {target.mark:,}"
    if target.lag and (target.blocked or target.holder is not None or target.due is not None):
        yield f"it has come to position {target.watermark:,}, with {counted(target.lag, 'event')} still to process"


def _held(target: Target) -> str:
    seconds = target.lease_seconds or 0.0
    until = datetime.fromtimestamp(datetime.now(UTC).timestamp() + seconds, UTC)
    held = f"process {target.holder} has leased it until {until:%H:%M:%S}Z, {seconds:.1f} seconds from now"
    if _runs(target.holder or 0):
        return f"{held}, and is working on it"
    return f"{held}; that process has died, so another one takes over then"


def _why_not_there(port: ReactionPort, name: str, known: list[Cursor], head: int, path: str) -> Iterator[str]:
    if not known:
        yield "no program with reactions has ever worked on this store"
        return
    yield "no event correlated so far concerns a target of this name"
    if any(each.reaction == name for each in known):
        yield f"{name!r} is the name of a reaction; its to= names its targets; to list them: act-fast targets"
    yield from _not_correlated(port, known, head, path)


def _not_correlated(port: ReactionPort, known: list[Cursor], head: int, path: str) -> Iterator[str]:
    for each in known:
        hold = holding(port, each.reaction)
        if hold is not None:
            yield (
                f"reaction {each.reaction!r} is held, because the targets of the event{_at(hold)} cannot be"
                f" found: {hold.error}"
            )
            if hold.blocked:
                yield f"to try again: act-fast unblock {shlex.join([path, each.reaction])}"
        elif each.position < head:
            yield (
                f"reaction {each.reaction!r} was correlated up to position {each.position:,} of {head:,}; later"
                " events are found once a program that has its code runs, or calls correlate(); if there is no such"
                f" program any more: act-fast forget-reaction {shlex.join([path, each.reaction])}"
            )


def _at(target: Target) -> str:
    return "" if target.failing is None else f" at position {target.failing:,}"


def _tries(target: Target) -> str:
    return f", after {counted(target.attempts, 'attempt')}" if target.attempts else ""


def _when(due: datetime) -> str:
    seconds = (due - datetime.now(UTC)).total_seconds()
    if seconds <= 0:
        return f"due since {due:%Y-%m-%d %H:%M:%S}Z; no worker is running that takes it"
    return f"at {due:%Y-%m-%d %H:%M:%S}Z, in {seconds:,.1f} seconds"


def _reactions(target: Target) -> str:
    return ", ".join(map(repr, target.reactions))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True
