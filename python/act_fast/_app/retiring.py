"""Closing the books of all streams that their states say are over."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from act_fast._checks.moments import moment
from act_fast._checks.plain_code import called, discard, is_unrun
from act_fast._events.meta import Actor
from act_fast._states.retire import Retire
from act_fast._timers.timer import each_timer
from act_fast.errors import ConcurrencyError, DefinitionError, StreamClosedError, ValidationError
from act_fast.stores.values import StreamInfo

if TYPE_CHECKING:
    from act_fast._app.pipeline import Engine

__all__ = ["Retired", "retire"]


class Retired(msgspec.Struct, frozen=True):
    """What `retire` did, or with `dry_run` would do: the streams that were closed for good, and those restarted."""

    closed: list[str]
    restarted: list[str]


def retire(
    engine: "Engine", at: datetime | None, now_us: Callable[[], int], actor: Actor | None, dry_run: bool
) -> Retired:
    """See `Act.retire`."""
    if at is not None and (not isinstance(at, datetime) or at.tzinfo is None):
        raise ValidationError("at= must be a timezone-aware datetime")
    now = moment(now_us()) if at is None else at
    done = Retired([], [])
    awaited = {timer.stream for timer in each_timer(engine.store) if timer.status == "waiting"}
    for info, state, rule in _idle(engine, now):
        if rule.keep is None and info.stream in awaited:
            continue  # what the timer is to do would be refused
        try:
            retired = _retire(engine, info, state, rule, actor, dry_run)
        except Exception as error:
            error.add_note(f"while retiring stream {info.stream!r}; streams retired before it stay retired")
            raise
        if retired:
            (done.closed if rule.keep is None else done.restarted).append(info.stream)
    return done


def _retire(
    engine: "Engine", info: StreamInfo, state: type[Any], rule: Retire, actor: Actor | None, dry_run: bool
) -> bool:
    """Close the books of a stream, if it is over."""
    found = engine.load(state, info.stream, None, None, None)
    if found.closed or found.version != info.version or not _wanted(rule, found.state, state):
        return False
    if dry_run:
        return True
    try:
        if rule.keep is None:
            engine.close_stream(state, info.stream, actor, info.version)
        else:
            engine.restart_stream(state, info.stream, rule.keep, actor, info.version)
    except (ConcurrencyError, StreamClosedError):
        return False  # it is not idle any more
    return True


def _idle(engine: "Engine", now: datetime) -> Iterator[tuple[StreamInfo, type[Any], Retire]]:
    """The streams that nothing was appended to for as long as their states say."""
    registry = engine.registry
    rules = {model.definition.state: model.definition.retire for model in registry.models.values()}
    if not any(rules.values()):
        return
    for info in engine.store.streams():
        event = registry.codec.classes.get(info.last_name)
        state = None if event is None else registry.owners.get(event)
        rule = None if state is None else rules.get(state)
        if state is not None and rule is not None and info.last_created + rule.after <= now:
            yield info, state, rule


def _wanted(rule: Retire, found: Any, state: type[Any]) -> bool:
    if rule.when is None:
        return True
    wanted: object = rule.when(found)
    if callable(wanted) or is_unrun(wanted):
        discard(wanted)
        raise DefinitionError(f"{state.__qualname__}: when= of Retire returned {called(wanted)}, not a bool")
    return bool(wanted)
