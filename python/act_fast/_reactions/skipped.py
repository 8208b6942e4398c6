"""Skipping: one event of one reaction is stepped over by hand, with a record of who did so, when and why."""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from act_fast._checks import arguments
from act_fast.errors import StoreError, ValidationError
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import Head, ReactionPort

__all__ = ["Skipped", "left_out", "never_handled", "operator", "skip", "skipped", "skips_by_reaction"]

_REASON_LETTERS: Final = 200


class Skipped(msgspec.Struct, frozen=True):
    """An event that was stepped over.

    Attributes:
        target: the target that did not handle it.
        reaction: the name of the reaction that did not.
        position: of the event in the log.
        stream: of the event; None if it can no longer be read.
        version: of the event in its stream.
        name: the event's name.
        reason: why.
        by: who: the actor at the time, or the user of the machine.
        at: when.
    """

    target: str
    reaction: str
    position: int
    stream: str | None
    version: int | None
    name: str | None
    reason: str
    by: str
    at: datetime


class _Note(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of it: the rest is in the log."""

    target: str
    reaction: str
    position: int
    reason: str
    by: str
    at: datetime


class _Reset(msgspec.Struct, frozen=True):
    """That a target begins again after a position, or one reaction on it that was forgotten."""

    target: str
    reaction: str | None
    after: int


def operator() -> str:
    """The user of the machine."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def skip(
    port: ReactionPort, store: Store, target: str, position: int | None, reaction: str | None, reason: str, by: str
) -> Skipped:
    """Step over the next event of a reaction on a target.

    Raises:
        ValidationError: it is not the next one, or it is not said of which reaction.
    """
    target = arguments.text("target", target)
    position = None if position is None else arguments.count("position", position)
    reaction = None if reaction is None else arguments.text("reaction", reaction)
    reason = arguments.text("reason", reason)
    if not reason.strip():
        raise ValidationError("skip() needs a reason: reason= is kept with what was skipped")
    if len(reason) > _REASON_LETTERS:
        raise ValidationError(f"reason= has {len(reason)} letters, {_REASON_LETTERS} at most")
    head = _chosen(target, port.heads(target), position, reaction)
    if position is None:
        _check_stopped_at(port, target, head)
    assert head[1] is not None
    note = _Note(target, head[0], head[1], reason, by[:_REASON_LETTERS], datetime.now(UTC))
    port.skip(target, head[0], head[1], msgspec.json.encode(note).decode())
    return _skipped(store, note)


def skipped(port: ReactionPort, store: Store, target: str | None = None) -> Iterator[Skipped]:
    """What was skipped, the oldest first."""
    wanted = None if target is None else arguments.text("target", target)
    for note in _notes(port):
        if isinstance(note, _Note) and (wanted is None or note.target == wanted):
            yield _skipped(store, note)


def skips_by_reaction(port: ReactionPort) -> Counter[str]:
    """How many events each reaction has skipped."""
    return Counter(note.reaction for note in _notes(port) if isinstance(note, _Note))


def left_out(port: ReactionPort, reaction: str) -> frozenset[int]:
    """The positions that a reaction has stepped over on the target of its own name, and not had again since."""
    return frozenset(position for position, resets in _stepped_over(port, reaction, reaction).items() if not resets)


def never_handled(port: ReactionPort, target: str, reaction: str) -> frozenset[int]:
    """The positions that a reaction has stepped over on a target, and that a reset has brought back but once."""
    return frozenset(position for position, resets in _stepped_over(port, target, reaction).items() if resets < 2)


def _stepped_over(port: ReactionPort, target: str, reaction: str) -> dict[int, int]:
    """The positions that a reaction has stepped over on a target, each with how often it was brought back since."""
    found: dict[int, int] = {}
    for note in _notes(port):
        if isinstance(note, _Note):
            if note.target == target and note.reaction == reaction:
                found[note.position] = 0
        elif note.target == target and note.reaction in (None, reaction):
            for position in found:
                found[position] += position > note.after
    return found


def _notes(port: ReactionPort) -> Iterator[_Note | _Reset]:
    """What was skipped; and in between, which targets were reset since, after which position."""
    for each in port.skipped():
        if each.startswith("["):
            yield msgspec.json.decode(each, type=_Note)
        else:
            position, _, whose = each.partition("\t")
            target, _, reaction = whose.partition("\0")
            yield _Reset(target, reaction or None, int(position))


def _chosen(target: str, heads: list[Head], position: int | None, reaction: str | None) -> Head:
    if not heads:
        raise ValidationError(
            f'"{target}" is a reaction that is stuck, not a target: its `to=` has found no target for the event yet, so'
            " there is nothing to skip; fix `to=`, then unblock it"
        )
    there = [each for each in heads if reaction is None or each[0] == reaction]
    if not there:
        known = ", ".join(repr(each[0]) for each in heads)
        raise ValidationError(f"no reaction {reaction!r} runs under the target {target!r}, but {known}")
    pending = [each for each in there if each[1] is not None]
    if not pending:
        raise ValidationError(f"there is no event to skip: {target!r} has processed all that concerns it so far")
    found = [each for each in pending if position is None or each[1] == position]
    if not found:
        nexts = ", ".join(f"{each[0]!r} comes to position {each[1]:,} next" for each in pending)
        raise ValidationError(f"only the next event of a reaction can be skipped, not the one at {position:,}: {nexts}")
    failing = [each for each in found if each[2]]
    if len(found) > 1 and len(failing) == 1:
        return failing[0]
    if len(found) > 1:
        which = " or ".join(f"reaction={each[0]!r}, position={each[1]}" for each in found)
        raise ValidationError(f"{target!r} has several reactions with work; say which event of which one: {which}")
    return found[0]


def _check_stopped_at(port: ReactionPort, target: str, head: Head) -> None:
    """Make sure that what is skipped, though nobody has said which event, is what a target is blocked at."""
    (found,) = port.targets(names=[target])
    failing = found["failing"]
    if found["blocked"] and failing is not None and head[1] != failing:
        raise ValidationError(
            f"{target!r} is blocked at position {failing:,}, but {head[0]!r} comes to position {head[1]:,} next: skip"
            " the first in a program that takes it, or say position= to skip the second"
        )


def _skipped(store: Store, note: _Note) -> Skipped:
    stream, version, name = None, None, None
    try:
        for event in store.query(after=note.position - 1, before=note.position + 1, limit=1):
            stream, version, name = event.stream, event.version, event.name
    except StoreError:
        pass  # it may have been skipped because it is damaged
    return Skipped(note.target, note.reaction, note.position, stream, version, name, note.reason, note.by, note.at)
