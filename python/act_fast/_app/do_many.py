"""Several actions as one commit: each decides on its own stream, and all of their events are appended, or none."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from act_fast._app.once import Once, append_all
from act_fast._checks import arguments
from act_fast._events.committed import Committed
from act_fast._events.context import deciding
from act_fast._events.meta import Actor
from act_fast._loading.cache import Entry
from act_fast._loading.loader import Loaded, Loader
from act_fast._model.model import Model
from act_fast._rows import EventPair
from act_fast._runtime.observers import Done
from act_fast._states.action import Call
from act_fast._states.snapshot import Snapshot
from act_fast.errors import ConcurrencyError, DefinitionError, StoreClosedError, StreamClosedError, ValidationError
from act_fast.stores.once import Repeated
from act_fast.stores.values import Append

if TYPE_CHECKING:
    from act_fast._app.pipeline import Engine

__all__ = ["do_many"]


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """One of the calls, its arguments checked."""

    model: Model[Any]
    call: Call[Any]
    values: tuple[Any, ...]
    told: str


class _Stream(msgspec.Struct):
    """What becomes of one of the streams: its state as it goes, where it began, and what is to be appended."""

    model: Model[Any]
    loaded: Loaded[Any]
    before: int
    events: list[EventPair]


def do_many(
    engine: "Engine", calls: Sequence[Call[Any]], actor: Actor | None, key: str | None = None
) -> tuple[Snapshot[Any], ...]:
    """Decide call by call and append all at once; again after a conflict, as often as each of the actions allows."""
    if deciding.get() is not None:
        raise DefinitionError(f"do_many was called by {deciding.get()}, which may only fold or decide")
    asked = [_asked(engine, call, f"call {number} of {len(calls)}") for number, call in enumerate(calls, 1)]
    if not asked:
        raise ValidationError('do_many takes at least one call, such as Account.deposit.at("account-7", amount=50)')
    name = ", ".join(dict.fromkeys(each.call.action.place for each in asked))
    streams = [each.call.stream for each in asked]
    return engine.traced(name, streams, lambda: _done(engine, asked, actor, key), _told)


def _done(engine: "Engine", asked: Sequence[_Asked], actor: Actor | None, key: str | None) -> tuple[Snapshot[Any], ...]:
    retries = min(each.call.action.retries for each in asked)
    attempt = 0
    while True:
        loader = engine.current()
        once = None if key is None else _once(engine, loader, key, asked)
        try:
            if once is not None:
                once.check_new()
            return _attempt(engine, loader, asked, actor, once)
        except ConcurrencyError:
            engine._lost(asked[0].call.action)
            attempt += 1
            if attempt > retries:
                raise
            time.sleep(max(each.call.action.backoff.wait(attempt) for each in asked))
        except StoreClosedError as closed:
            engine.begin_again(loader, closed)
        except Repeated as repeated:
            assert once is not None
            return _first_time(engine, loader, asked, once, repeated)


def _told(snapshots: Sequence[Snapshot[Any]]) -> Done:
    return Done(
        max(each.position for each in snapshots),
        sum(each.replayed for each in snapshots),
        sum(each.appended for each in snapshots),
        any(each.repeated for each in snapshots),
    )


def _asked(engine: "Engine", call: Call[Any], told: str) -> _Asked:
    if not isinstance(call, Call):
        raise DefinitionError(
            f"do_many takes calls of actions, such as Account.deposit.at(stream, amount=50), not"
            f" {type(call).__name__} ({told})"
        )
    model = engine.registry.model_for(call.action)
    told = f"{call.action.place} on stream {arguments.text('stream', call.stream)!r}, {told}"
    try:
        return _Asked(model, call, call.action.parameters.bind(call.args, call.kwargs), told)
    except ValidationError as error:
        error.add_note(told)
        raise


def _once(engine: "Engine", loader: Loader, key: str, asked: Sequence[_Asked]) -> Once:
    told = [(each.call.action.place, each.call.stream, each.values) for each in asked]
    return Once(loader.store, key, "do_many", told, engine.vault)


def _first_time(
    engine: "Engine", loader: Loader, asked: Sequence[_Asked], once: Once, repeated: Repeated
) -> tuple[Snapshot[Any], ...]:
    """The states as each call left them."""
    found = once.first_time(repeated)
    versions: dict[str, int] = {}
    for event in found:
        versions.setdefault(event.stream, event.version - 1)
    ends = {event.stream: event.version for event in found}
    snapshots = []
    for each, count in zip(asked, _counts(found, asked), strict=True):
        stream = each.call.stream
        if stream in versions:
            versions[stream] = min(versions[stream] + count, ends[stream])
            loaded = loader.at_moment(each.model, stream, None, versions[stream], None)
        else:
            loaded = loader.at_moment(each.model, stream, None, None, repeated.last)
        snapshots.append(engine._snapshot(loader, each.model, stream, loaded, count, True))
    return tuple(snapshots)


def _counts(found: Sequence[Committed[bytes]], asked: Sequence[_Asked]) -> list[int]:
    """How many events each call has appended."""
    action = found[0].meta.action
    assert action is not None
    # Earlier versions wrote them behind the digest, or not at all: then each call is answered as all of them left it.
    if counts := action.counts or action.digest.split(".")[1:]:
        return [int(each) for each in counts]
    appended = Counter(event.stream for event in found)
    return [appended[each.call.stream] for each in asked]


def _untold(done: Sequence[tuple[_Asked, int]]) -> tuple[int, ...]:
    """How many events each call appends, where their streams do not tell."""
    if len({each.call.stream for each, _ in done}) == len(done):
        return ()
    return tuple(count for _, count in done)


def _attempt(
    engine: "Engine", loader: Loader, asked: Sequence[_Asked], actor: Actor | None, once: Once | None
) -> tuple[Snapshot[Any], ...]:
    actor = engine.actor_of(actor)
    streams: dict[str, _Stream] = {}
    done: list[tuple[_Asked, Loaded[Any], int]] = []
    for each in asked:
        try:
            at = _stream(loader, streams, each)
            count = _decide(engine, at, each, actor)
        except Exception as error:
            error.add_note(each.told)
            raise
        done.append((each, at.loaded, count))
    ends = _append(engine, loader, streams, [(each, count) for each, _, count in done], actor, once)
    snapshots = []
    for each, loaded, count in done:
        stream, entry = each.call.stream, loaded.entry
        if entry.version > streams[stream].before:
            version, position = ends[stream]
            there = Entry(entry.state, entry.version, position - (version - entry.version), False)
            loaded = Loaded(there, loaded.replayed, loaded.cached)
        if not count:
            snapshots.append(engine._snapshot(loader, each.model, stream, loaded))
            continue
        loader.cache.put((each.model.definition.state, stream), loaded.entry)
        snapshots.append(engine._finish(loader, each.model, stream, loaded, count))
    return tuple(snapshots)


def _stream(loader: Loader, streams: dict[str, _Stream], each: _Asked) -> _Stream:
    """The stream of a call, as the calls before it leave it."""
    stream = each.call.stream
    known = streams.get(stream)
    if known is None:
        loaded = loader.latest(each.model, stream)
        if loaded.entry.closed:
            raise StreamClosedError(stream)
        known = streams[stream] = _Stream(each.model, loaded, loaded.entry.version, [])
    elif known.model is not each.model:
        raise DefinitionError(
            f"stream {stream!r} is given to actions of {known.model.definition.name} and of"
            f" {each.model.definition.name}; the calls of one do_many take a stream for one state"
        )
    return known


def _decide(engine: "Engine", at: _Stream, each: _Asked, actor: Actor | None) -> int:
    """Run the action and fold what it returns, before anything is appended; how many events that is."""
    entry = at.loaded.entry
    state, decision = engine.decided(at.model, each.call.action, each.call.stream, entry, actor, each.values)
    count = len(decision.events)
    if not count:
        return 0
    at.loaded = Loaded(Entry(state, entry.version + count, 0, False), at.loaded.replayed, at.loaded.cached)
    at.events += decision.encoded
    return count


def _append(
    engine: "Engine",
    loader: Loader,
    streams: dict[str, _Stream],
    done: Sequence[tuple[_Asked, int]],
    actor: Actor | None,
    once: Once | None,
) -> dict[str, tuple[int, int]]:
    """Append what was decided as one commit; the last version and position of each stream."""
    appends = [Append(name, each.events, each.before) for name, each in streams.items() if each.events]
    if not appends:
        return {}
    # What was decided on a stream that nothing is appended to holds only if it is still as it was.
    others = {name: each.before for name, each in streams.items() if not each.events}
    calls = [each.call for each, count in done if count]
    places = dict.fromkeys(call.action.place for call in calls)
    digest, counts = (once.digest, _untold(done)) if once else ("", ())
    meta = engine.meta_of(", ".join(places), calls[0].stream, actor, digest, counts)
    appended = append_all(loader.store, once, appends, others, None, meta)
    return {one.stream: (its.last_version, its.last_position) for one, its in zip(appends, appended, strict=True)}
