"""Timers at work: scheduled once, done once, or cancelled."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from act_fast._app.pipeline import Engine
from act_fast._checks import arguments
from act_fast._checks.moments import EPOCH, moment
from act_fast._events.committed import Committed
from act_fast._events.context import deciding
from act_fast._events.meta import Actor
from act_fast._events.sealing import reaches_personal
from act_fast._reactions.reaction import Reaction, reaction_of
from act_fast._runtime.backoff import Backoff
from act_fast._states.action import Action
from act_fast._timers.facts import Done, Scheduled, scheduled_as
from act_fast._timers.names import TIMERS
from act_fast._timers.timer import Timer, cancel_timer, find_timer, stream_of
from act_fast.errors import ConcurrencyError, DefinitionError, ValidationError
from act_fast.stores.values import Append

__all__ = ["When", "cancel", "schedule", "timer_reaction"]

_RETRIES: Final = 10
_BACKOFF: Final = Backoff(first=0.5, factor=2.0, longest=300.0)
_AFTER_MAX: Final = timedelta(days=100 * 366)
_AT_MAX_US: Final = arguments.DUE_MAX_MS * 1000


class When:
    """When a timer is due, what it is known by, and whether it takes the place of one of the same key; checked."""

    def __init__(self, at: datetime | None, after: timedelta | None, key: str | None, replace: bool) -> None:
        if (at is None) == (after is None):
            raise ValidationError("schedule takes either at= (a datetime) or after= (a timedelta)")
        if after is not None and (not isinstance(after, timedelta) or not timedelta(0) <= after <= _AFTER_MAX):
            raise ValidationError(f"after= must be a timedelta from 0 to 100 years, not {after!r}")
        at_us = arguments.microseconds("at", at)
        self.at: Final = None if at_us is None else EPOCH + timedelta(microseconds=min(max(at_us, 0), _AT_MAX_US))
        self.after: Final = after
        self.replace: Final = arguments.flag("replace", replace)
        self.key: Final = os.urandom(16).hex() if key is None else key
        if replace and key is None:
            raise ValidationError("replace= needs a key=, which says what to replace")
        stream_of(self.key)

    def due(self, now_us: int) -> datetime:
        """The moment, from now."""
        if self.at is not None:
            return self.at
        assert self.after is not None
        return moment(now_us) + self.after


def schedule(
    engine: Engine,
    when: When,
    now_us: Callable[[], int],
    action: Action[Any, Any, Any],
    stream: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    actor: Actor | None,
) -> Timer:
    """Append what is to be done, unless it is there already."""
    _check_undecided("schedule")
    state = engine.registry.model_for(action).definition.name
    arguments.text("stream", stream)
    if not 0 < len(stream.encode()) <= 512 or any(each in stream for each in "\0\n\r"):
        raise ValidationError("a stream's name has 1 to 512 bytes, without NUL or line breaks")
    if stream == stream_of(when.key):
        raise ValidationError(f"{stream!r} is the timer's own stream; name the stream that {action.place} is to run on")
    for name in (each.name for each in msgspec.structs.fields(action.parameters.shape) if reaches_personal(each.type)):
        raise ValidationError(
            f"{action.place}: the argument {name!r} is personal, and scheduled arguments are stored in clear; pass an"
            " id, and let the action find the value in its state"
        )
    given = action.parameters.stored(action.parameters.bind(args, kwargs))
    seconds = None if when.after is None else when.after.total_seconds()
    while True:
        known = find_timer(engine.store, when.key)
        if known is not None and not when.replace:
            same = (known.action, known.stream, known.arguments) == (action.place, stream, given)
            same_time = known.after == seconds if when.at is None else known.after is None and known.due == when.at
            if same and same_time:
                return known
            raise ValidationError(
                f"the timer {when.key!r} was scheduled for something else: {known.action} of {known.stream!r}, due"
                f" {known.due:%Y-%m-%d %H:%M:%S} UTC; use another key, or replace=True"
            )
        event = scheduled_as(state)(action.place, stream, given, when.due(now_us()), seconds)
        own = stream_of(when.key)
        try:
            version = 0 if known is None else known.version
            engine.store.append(own, [event], expected_version=version, meta=engine.meta_of("schedule", own, actor))
        except ConcurrencyError:
            continue
        made = find_timer(engine.store, when.key)
        assert made is not None
        return made


def cancel(engine: Engine, key: str, actor: Actor | None) -> Timer:
    """Append that a timer is not to be done, if it still waits; the timer as it is then."""
    _check_undecided("cancel")
    return cancel_timer(engine.store, key, lambda: engine.meta_of("cancel", stream_of(key), actor))


def timer_reaction(engine: Engine, state: str) -> Reaction:
    """The reaction that waits for the timers of a state's actions, and does them."""

    def do_timer(event: Committed[Scheduled]) -> None:
        if engine.store.version(event.stream) != event.version:
            return  # done, cancelled or replaced
        action = _action(engine, event.data.action)
        values = action.parameters.restored(event.data.arguments)
        try:
            beside = Append(event.stream, [Done()], event.version)
            engine.do_beside(action, event.data.stream, values, event.meta.actor, beside)
        except ConcurrencyError as conflict:
            if conflict.stream != event.stream:
                raise

    return reaction_of(
        do_timer,
        [scheduled_as(state)],
        to=lambda event: f"{event.stream}@{event.version}",
        defer=lambda event: event.data.due,
        retries=_RETRIES,
        backoff=_BACKOFF,
        name=f"{TIMERS}{state}",
    )


def _action(engine: Engine, place: str) -> Action[Any, Any, Any]:
    state, _, name = place.rpartition(".")
    for model in engine.registry.models.values():
        if model.definition.name == state and name in model.definition.actions:
            found: Action[Any, Any, Any] = model.definition.actions[name]
            return found
    raise DefinitionError(
        f"a timer is scheduled to do {place}, but there is no such action; bring it back, or cancel the timer"
    )


def _check_undecided(what: str) -> None:
    if deciding.get() is not None:
        raise DefinitionError(
            f"{what} was called by {deciding.get()}, which may only fold or decide; schedule from a reaction"
        )
