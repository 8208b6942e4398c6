"""The pipeline of `do`, and what an app keeps between calls: what `Act` and `AsyncAct` both stand on."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from act_fast._app.once import Once
from act_fast._app.slice import Component
from act_fast._checks import arguments
from act_fast._checks.plain_code import called, discard, is_unrun
from act_fast._events.committed import Committed
from act_fast._events.context import Ambient, Here, ambient, deciding
from act_fast._events.event import Event
from act_fast._events.gone import CLOSED, GONE, RESTARTED
from act_fast._events.meta import ActionCause, Actor, Causation, Meta, decode_meta, encode_meta
from act_fast._loading.by_tag import EventAt, load_view, view_history
from act_fast._loading.cache import Cache, Entry
from act_fast._loading.loader import Loaded, Loader
from act_fast._model.decide import Decision, check_declared, check_folded, check_unchanged, decide
from act_fast._model.fold import Unknown
from act_fast._model.model import Model
from act_fast._model.personal_checks import kept_in_clear
from act_fast._model.registry import Registry
from act_fast._model.view_model import view_model
from act_fast._rows import Progress
from act_fast._runtime.backoff import Backoff
from act_fast._runtime.forks import tell_in_child
from act_fast._runtime.logger import log
from act_fast._runtime.observers import Done, Observers
from act_fast._states.action import Action
from act_fast._states.snapshot import Snapshot
from act_fast._states.state import State
from act_fast._states.view import Seen, View
from act_fast.errors import (
    ConcurrencyError,
    DefinitionError,
    StoreClosedError,
    StoreError,
    StreamClosedError,
    ValidationError,
)
from act_fast.stores.conditions import check_names
from act_fast.stores.once import Repeated
from act_fast.stores.port import Store
from act_fast.stores.values import Append

if TYPE_CHECKING:
    from act_fast._privacy.vault import Vault
    from act_fast._sql.continuous.relation import KeptQuestion
    from act_fast._sql.library import Library

__all__ = ["Engine"]

S = TypeVar("S", bound=State)
V = TypeVar("V", bound=View)
T = TypeVar("T")

_TURNS: Final = 64
_ATTEMPTS_BESIDE: Final = 10
_BACKOFF_BESIDE: Final = Backoff(first=0.002, longest=0.2, jitter=1.0)
_nobody: Final = Ambient()


class Request(msgspec.Struct, Generic[S], frozen=True, eq=False, gc=False):
    """One call of `do`: the action, on which stream, with which arguments, by whom, the version if pinned, and once."""

    model: Model[S]
    action: Action[S, Any, Any]
    stream: str
    values: tuple[Any, ...]
    here: Here
    actor: Actor | None
    expected: int | None
    once: Once | None = None


class Engine:
    """One app at work.

    Attributes:
        store: where the events are.
        registry: the app's definitions.
        observers: who is told what happened.
        unknown: what becomes of events that a state does not know.
        library: the relations that SQL knows, once it was asked.
        continuous: the questions that are kept answered, by name in small letters.
        defining: held by who changes these, or sees to it that SQL knows them.
        vault: what seals and opens personal values; None without keys.
        views: views that are no components of the app, as they are folded.
        conflicts: how many appends of actions have lost a race.
    """

    def __init__(
        self,
        store: Store,
        components: Sequence[Component],
        debug: bool,
        unknown: Unknown,
        cache_max: int,
        correlator: Callable[[], str],
        vault: "Vault | None" = None,
    ) -> None:
        self.store = store
        self.vault: Vault | None = vault
        self.registry = Registry(components, unknown, vault)
        self.views: WeakKeyDictionary[type[View], Model[Any]] = WeakKeyDictionary()
        self.observers = Observers()
        self.library: Library | None = None
        self.continuous: Mapping[str, KeptQuestion] = {}
        self.defining = threading.RLock()
        self._cache_max = cache_max
        self._loader = self._begin()
        self.conflicts = 0
        self._beginning = threading.Lock()
        self._debug = debug
        self.unknown: Unknown = unknown
        self._correlator = correlator
        # Who lost a race decides again in turn, so that a crowd on one stream does not collide over and over.
        # An action that calls `do` itself, which it should not, must not wait for its own turn: hence RLock.
        self._turns = [threading.RLock() for _ in range(_TURNS)]
        tell_in_child(self)
        if vault is not None:
            vault.on_forgotten(self.drop_values)

    def forked(self) -> None:
        """Whoever had a turn stayed with the parent."""
        self.defining = threading.RLock()
        self._beginning = threading.Lock()
        self._turns = [threading.RLock() for _ in range(_TURNS)]

    def include(self, components: Sequence[Component], fits: Callable[[Registry], object]) -> None:
        """Add components; nothing changes when they do not fit, also when `fits` raises."""
        registry = Registry((*self.registry.components, *components), self.unknown, self.vault)
        fits(registry)
        with self._beginning:
            self.registry = registry
            self._loader.codec = registry.codec
        self.cache.clear()

    def drop_values(self) -> None:
        """Drop live states, which may hold values of someone who was forgotten.

        Who is at work goes on with the old cache: what is put there from now on, nobody finds.
        """
        with self._beginning:
            self._loader = self._begin()

    @property
    def cache(self) -> Cache:
        """Live states."""
        return self._loader.cache

    def do(
        self,
        action: Action[S, Any, Any],
        stream: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        actor: Actor | None,
        expected: int | None,
        key: str | None = None,
    ) -> Snapshot[S]:
        """The whole pipeline; see `Act.do`."""
        model = self.registry.model_for(action)
        if type(stream) is not str:
            arguments.text("stream", stream)
        if deciding.get() is not None:
            raise _nested(action.place)
        values = action.parameters.bind(args, kwargs)
        here = ambient.get() or _nobody
        if self.vault is not None:
            self.vault.notice()
        request = Request(model, action, stream, values, here, here.actor if actor is None else actor, expected)
        loader = self._loader
        try:
            if key is not None:
                once = Once(loader.store, key, action.place, (stream, values), self.vault)
                request = msgspec.structs.replace(request, once=once)
                once.check_new()
            try:
                if loader.distant:
                    done, appended = self._attempt_from_afar(request, loader)
                else:
                    done, appended = self._attempt(request, loader)
            except ConcurrencyError as conflict:
                self._lost(action)
                if expected is not None or not action.retries or conflict.stream != stream:
                    raise
                done, appended = self._again(request, loader, conflict)
        except StoreClosedError as closed:
            if expected is not None:
                raise  # a version of the log that was
            self.begin_again(loader, closed)
            return Engine.do(self, action, stream, args, kwargs, actor, expected, key)
        except Repeated as repeated:
            return self._first_time(request, loader, repeated)
        if appended:
            return self._finish(loader, model, stream, done, appended)
        return self._snapshot(loader, model, stream, done)

    def traced(self, name: str, about: Sequence[str], work: Callable[[], T], done: Callable[[T], Done]) -> T:
        """Do some work, in a span where spans are recorded.

        Args:
            name: what is done, for people.
            about: the streams or tags that it is about.
            work: does it.
            done: what came of it.
        """
        return work()

    def do_beside(
        self, action: Action[S, Any, Any], stream: str, values: tuple[Any, ...], actor: Actor | None, beside: Append
    ) -> None:
        """Do an action, and append something to another stream in the same commit; that alone if it decides nothing.

        Raises:
            ConcurrencyError: the other stream is at another version, or the action's own has changed too often.
        """
        model, here = self.registry.model_for(action), ambient.get() or _nobody
        request = Request(model, action, stream, values, here, here.actor if actor is None else actor, None)
        loader = self.current().carrying(beside)
        done, appended = self._attempt_often(request, loader)
        if appended:
            self._finish(loader, model, stream, done, appended)
        else:
            meta = decode_meta(self._meta(action.place, stream, request.here, request.actor))
            loader.store.append_many([beside], meta=meta)

    def _attempt_often(self, request: Request[S], loader: Loader) -> tuple[Loaded[S], int]:
        for attempt in range(1, _ATTEMPTS_BESIDE + 1):
            try:
                return self._attempt(request, loader)
            except ConcurrencyError as conflict:
                self._lost(request.action)
                if conflict.stream != request.stream or attempt == _ATTEMPTS_BESIDE:
                    raise
                time.sleep(_BACKOFF_BESIDE.wait(attempt))
        raise AssertionError("a last attempt returns or raises")

    def load(
        self,
        state: type[S],
        stream: str,
        before: int | datetime | None,
        at: int | datetime | None,
        position: int | None,
    ) -> Snapshot[S]:
        """The state now, or at a moment."""
        model = self.registry.model_of(state)
        arguments.text("stream", stream)
        if self.vault is not None:
            self.vault.notice()
        loader = self._loader
        try:
            found = loader.at_moment(model, stream, before, at, position)
        except StoreClosedError as closed:
            self.begin_again(loader, closed)
            return Engine.load(self, state, stream, before, at, position)
        return self._snapshot(loader, model, stream, found)

    def view_model(self, view: type[Any]) -> Model[Any]:
        """A view as this app folds it; kept as long as the class is there."""
        known = self.registry.views.get(view) or self.views.get(view)
        if known is None:
            known = self.views[view] = view_model(view, self.vault)
        return known

    def load_seen(
        self, seen: Seen[S], before: int | datetime | None, at: int | datetime | None, position: int | None
    ) -> Snapshot[S]:
        """A view of a tag, or the state of a stream, now or at a moment."""
        if not seen.tag:
            return Engine.load(self, seen.kind, seen.stream, before, at, position)
        model = self.view_model(seen.kind)
        loader = self.current()
        try:
            found = load_view(loader, model, seen.tag, before, at, position)
        except StoreClosedError as closed:
            self.begin_again(loader, closed)
            return Engine.load_seen(self, seen, before, at, position)
        return _view_snapshot(loader, model, seen.tag, found)

    def history_seen(self, seen: Seen[S], after: int, before: int | None) -> Iterator[Snapshot[S]]:
        """A view after each of its events, or a state."""
        if not seen.tag:
            return self.history(seen.kind, seen.stream, after, before)
        model = self.view_model(seen.kind)
        loader = self.current()
        return (
            _view_snapshot(loader, model, seen.tag, Loaded(entry, 1, False))
            for entry in view_history(loader, model, seen.tag, after, before)
        )

    def replay_views(
        self, view: type[V], tags: str | None, at: int | datetime | None, after: str | None, progress: Progress | bool
    ) -> Iterator[tuple[str, Snapshot[V]]]:
        """Each tag's view."""
        from act_fast._loading.replay import replay_views

        return replay_views(self.current().store, self.view_model(view), tags, at, after, progress)

    def history(self, state: type[S], stream: str, after: int, before: int | None) -> Iterator[Snapshot[S]]:
        """The state after each event."""
        model = self.registry.model_of(state)
        arguments.text("stream", stream)
        loader = self.current()
        return (
            Snapshot(stream, each.version, each.position, 1, False, each.state, None, loader, 0, each.closed)
            for each in loader.history(model, stream, after, before)
        )

    def replay(
        self,
        state: type[S],
        streams: str | None,
        at: int | datetime | None,
        after: str | None,
        progress: Progress | bool,
    ) -> Iterator[tuple[str, Snapshot[S]]]:
        """Every stream's state."""
        from act_fast._app.local_copy import for_replay
        from act_fast._loading.replay import replay

        loader = self.current()
        return replay(
            for_replay(loader.store, streams), loader, self.registry.model_of(state), streams, at, after, progress
        )

    def save(self, state: type[S], stream: str) -> Snapshot[S]:
        """Store a snapshot of the state now."""

        def stored(loader: Loader, model: Model[S], loaded: Loaded[S]) -> Snapshot[S] | None:
            entry = loaded.entry
            if entry.closed:
                raise StreamClosedError(stream)
            if not entry.version:
                raise ValidationError(
                    f"stream {stream!r} has no events, so there is no state to store; append some first"
                )
            if not loader.save_snapshot(model, stream, entry):
                return None
            return self._snapshot(loader, model, stream, loaded)

        return self._with_latest("snapshot", state, stream, stored)

    def close_stream(self, state: type[S], stream: str, actor: Actor | None, expected: int | None) -> Snapshot[S]:
        """Append the event that ends a stream."""

        def closed(loader: Loader, model: Model[S], loaded: Loaded[S]) -> Snapshot[S] | None:
            entry = loaded.entry
            if entry.closed:
                return self._snapshot(loader, model, stream, loaded)
            _check_expected(stream, entry, expected)
            return self._hold(loader, model, stream, loaded, CLOSED, entry.state, actor)

        return self._with_latest("close_stream", state, stream, closed)

    def restart_stream(
        self,
        state: type[S],
        stream: str,
        carry: Callable[[S], S] | None,
        actor: Actor | None,
        expected: int | None,
    ) -> Snapshot[S]:
        """Append the event that holds the state, and from which folding goes on."""

        def restarted(loader: Loader, model: Model[S], loaded: Loaded[S]) -> Snapshot[S] | None:
            entry = loaded.entry
            if entry.closed:
                raise StreamClosedError(stream)
            _check_expected(stream, entry, expected)
            if not entry.version:
                raise ValidationError(f"stream {stream!r} has no events, so there is no state to go on from")
            carried = _carried(model, carry, model.copy(entry.state))
            return self._hold(loader, model, stream, loaded, RESTARTED, carried, actor)

        return self._with_latest("restart_stream", state, stream, restarted)

    def _with_latest(
        self,
        what: str,
        state: type[S],
        stream: str,
        use: Callable[[Loader, Model[S], Loaded[S]], Snapshot[S] | None],
    ) -> Snapshot[S]:
        """Do something with the state now; again with a fresh one for as long as that answers None."""
        if deciding.get() is not None:
            raise _nested(what)
        model = self.registry.model_of(state)
        arguments.text("stream", stream)
        done: Snapshot[S] | None = None
        while done is None:
            loader = self.current()
            done = use(loader, model, loader.latest(model, stream))
        return done

    def _hold(
        self, loader: Loader, model: Model[S], stream: str, loaded: Loaded[S], name: str, state: S, actor: Actor | None
    ) -> Snapshot[S] | None:
        """Append an event of the framework's own that holds a state; None if it must be loaded again first."""
        here = ambient.get() or _nobody
        place = f"{model.definition.name}.{name}"
        meta = self._meta(place, stream, here, here.actor if actor is None else actor)
        data = loader.held(model, stream, loaded.entry.version, state)
        if data is None:
            return None
        done = loader.append(stream, [(name, data)], loaded.entry.version, meta)
        after = Entry(state, done.last_version, done.last_position, name == CLOSED)
        loader.cache.put((model.definition.state, stream), after)
        return self._finish(loader, model, stream, Loaded(after, loaded.replayed, loaded.cached), 1)

    def query(self, events: Sequence[type[Event]] | None, **conditions: Any) -> Iterator[Committed[Event]]:
        """The app's events that meet every condition."""
        check_names(conditions.keys() - {"limit", "backwards"})
        codec = self.registry.codec
        names = [*codec.classes] if events is None else self.names_of(events)
        return self._there(self.store.query(names=names, **conditions), names, conditions)

    def _there(
        self, found: Iterator[Committed[bytes]], names: Sequence[str], conditions: dict[str, Any]
    ) -> Iterator[Committed[Event]]:
        """What was found, without those whose data is gone; these do not count as far as there is a limit."""
        committed, limit = self.registry.codec.committed, conditions.get("limit")
        beyond = "before" if conditions.get("backwards") else "after"
        while True:
            looked, last = 0, 0
            for each in found:
                looked, last = looked + 1, each.position
                if each.data in GONE:
                    continue
                yield committed(each)
                limit = None if limit is None else limit - 1
            if not limit or not last or looked < conditions["limit"]:
                return
            conditions |= {"limit": limit, beyond: last}
            found = self.store.query(names=names, **conditions)

    def names_of(self, events: Sequence[type[Event]]) -> list[str]:
        """The names that events of some classes are stored under."""
        if isinstance(events, type | str | bytes) or not isinstance(events, Sequence):
            raise ValidationError("events must be a sequence of event classes; put a single one in brackets")
        for event in events:
            if event not in self.registry.events:
                raise DefinitionError(f"{event!r} is not an event of this app; name event classes of its states")
        return [name for name, event in self.registry.codec.classes.items() if event in events]

    def _begin(self) -> Loader:
        """What loads from the log as it is now."""
        return Loader(self.store, Cache(self._cache_max), self.observers, self.registry.codec)

    def current(self) -> Loader:
        """What loads from the log that is there: another one once a restored one has taken the place of the first."""
        if self.vault is not None:
            self.vault.notice()
        loader = self._loader
        if loader.replaced:
            self.begin_again(loader, None)
        return self._loader

    def begin_again(self, loader: Loader, error: StoreClosedError | None) -> None:
        """Go on with the log that has taken the place of one; raise the error if it is none of this kind."""
        if not loader.replaced and error is not None:
            raise error
        with self._beginning:
            if self._loader is loader:
                self._loader = self._begin()

    def _attempt_from_afar(self, request: Request[S], loader: Loader) -> tuple[Loaded[S], int]:
        """The same in one round trip: decide on what is at hand, if anything is, without asking whether it is current.

        The append asks, since it expects that version. Whatever else comes of the decision, no events or an error,
        counts only if that was the state of the stream; if not, all is done again from the log.
        """
        entry = loader.at_hand(request.model, request.stream)
        if entry is None:
            return self._attempt(request, loader)
        try:
            done = self._attempt(request, loader, Loaded(entry, 0, True))
        except StoreError:
            raise
        except Exception:
            if loader.is_current(request.stream, entry):
                raise
        else:
            if done[1] or loader.is_current(request.stream, entry):
                return done
        return self._attempt(request, loader)

    def _attempt(self, request: Request[S], loader: Loader, loaded: Loaded[S] | None = None) -> tuple[Loaded[S], int]:
        """Load, decide, append: the state afterwards, and how many events were appended."""
        model, stream = request.model, request.stream
        if loaded is None:
            loaded = loader.latest(model, stream)
        entry = loaded.entry
        if entry.closed:
            raise StreamClosedError(stream)
        if request.expected is not None:
            _check_expected(stream, entry, request.expected)
        action, actor = request.action, request.actor
        state, decision = self.decided(model, action, stream, entry, actor, request.values)
        if not decision.events:
            return loaded, 0
        if request.once is None:
            meta = self._meta(action.place, stream, request.here, actor)
            done = loader.append(stream, decision.encoded, entry.version, meta)
        else:
            meta = self._meta(action.place, stream, request.here, actor, request.once.digest)
            (done,) = request.once.append([(stream, decision.encoded, entry.version)], meta)
        after = Entry(state, done.last_version, done.last_position, False)
        loader.cache.put((model.definition.state, stream), after)
        return Loaded(after, loaded.replayed, loaded.cached), len(decision.events)

    def decided(
        self,
        model: Model[S],
        action: Action[S, Any, Any],
        stream: str,
        entry: Entry[S],
        actor: Actor | None,
        values: tuple[Any, ...],
    ) -> tuple[S, Decision]:
        """Run an action, and fold what it returns: the state afterwards, and what was decided.

        Folded before it is appended: an event that a reducer cannot take must not get into the log.
        """
        state = model.copy(entry.state)  # the action's own, so that a wrongdoer's changes go nowhere
        decision = decide(model, action, state, stream, entry.version, actor, values, self._debug)
        if self._debug:
            check_unchanged(action, state, entry.state)
        if not decision.events:
            return entry.state, decision
        state = model.copy(entry.state)
        model.events(state, stream, entry.version, decision.events)
        if self._debug:
            check_folded(action, state)
            check_declared(model, model.copy(entry.state), state, decision.events)
            if self.vault is not None and (found := kept_in_clear(state, decision.events)) is not None:
                raise DefinitionError(found)
        return state, decision

    def _again(self, request: Request[S], loader: Loader, lost: ConcurrencyError) -> tuple[Loaded[S], int]:
        """Load and decide again after a lost race, as often as the action allows."""
        stream, action = request.stream, request.action
        for attempt in range(1, action.retries + 1):
            time.sleep(action.backoff.wait(attempt))
            with self._turns[hash(stream) % _TURNS]:
                try:
                    return self._attempt(request, loader)
                except ConcurrencyError as conflict:
                    self._lost(action)
                    if conflict.stream != stream:
                        raise
                    lost = conflict
        raise lost

    def _first_time(self, request: Request[S], loader: Loader, repeated: Repeated) -> Snapshot[S]:
        """The state as it was when this was done the first time."""
        model, stream = request.model, request.stream
        assert request.once is not None
        found = request.once.first_time(repeated)
        loaded = loader.at_moment(model, stream, None, found[-1].version, None)
        return self._snapshot(loader, model, stream, loaded, len(found), True)

    def _lost(self, action: Action[Any, Any, Any]) -> None:
        """Count an append that has lost a race."""
        with self._beginning:
            self.conflicts += 1

    def _finish(self, loader: Loader, model: Model[S], stream: str, done: Loaded[S], appended: int) -> Snapshot[S]:
        """What is left to do once a commit is in the log. Nothing here can undo it, so nothing here may raise."""
        snapshot = self._snapshot(loader, model, stream, done, appended)
        if model.definition.snapshots:
            self._store_if_due(loader, model, snapshot, done)
        if self.observers.kinds:
            self._tell_committed(loader, model, stream, done, appended)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("appended %d to %r, now at version %d", appended, stream, snapshot.version)
        return snapshot

    def _tell_committed(self, loader: Loader, model: Model[S], stream: str, done: Loaded[S], appended: int) -> None:
        self.observers.tell_each("committed", lambda: self._snapshot(loader, model, stream, done, appended))

    def _store_if_due(self, loader: Loader, model: Model[S], snapshot: Snapshot[S], done: Loaded[S]) -> None:
        every, entry = model.definition.snapshot_every, done.entry
        try:
            due = every is not None and entry.version // every > (entry.version - snapshot.appended) // every
            if not entry.closed and (due or self._wanted(loader, model, snapshot, done)):
                loader.save_snapshot(model, snapshot.stream, entry)
        except Exception as error:
            self.observers.fail(
                f"storing a snapshot of {snapshot.stream!r}", error, once=isinstance(error, DefinitionError)
            )

    def _wanted(self, loader: Loader, model: Model[S], snapshot: Snapshot[S], done: Loaded[S]) -> bool:
        """Whether the author's function wants a snapshot stored; it is given one of its own."""
        when = model.definition.snapshot_when
        if when is None:
            return False
        found: object = when(self._snapshot(loader, model, snapshot.stream, done, snapshot.appended))
        if callable(found) or is_unrun(found):
            discard(found)
            raise DefinitionError(f"{model.definition.name}: snapshot_when= returned {called(found)}, not a bool")
        return bool(found)

    def _snapshot(
        self, loader: Loader, model: Model[S], stream: str, loaded: Loaded[S], appended: int = 0, repeated: bool = False
    ) -> Snapshot[S]:
        entry = loaded.entry
        return Snapshot(
            stream,
            entry.version,
            entry.position,
            loaded.replayed,
            loaded.cached,
            entry.state,
            model.copy,
            loader,
            appended,
            entry.closed,
            repeated,
        )

    def actor_of(self, actor: Actor | None) -> Actor | None:
        """Who acts: the one that is named, else whoever acts here."""
        return (ambient.get() or _nobody).actor if actor is None else actor

    def meta_of(
        self, place: str, stream: str, actor: Actor | None, digest: str = "", counts: tuple[int, ...] = ()
    ) -> Meta:
        """Why something is appended now, by whom."""
        here = ambient.get() or _nobody
        return decode_meta(self._meta(place, stream, here, here.actor if actor is None else actor, digest, counts))

    def _meta(
        self,
        place: str,
        stream: str,
        here: Here,
        actor: Actor | None,
        digest: str = "",
        counts: tuple[int, ...] = (),
    ) -> bytes:
        causation = Causation(ActionCause(place, stream, actor, digest, counts), here.event)
        correlation = here.correlation or self._correlator()
        if type(correlation) is not str:
            raise DefinitionError(f"correlator= must return text (str), but returned {type(correlation).__name__}")
        return encode_meta(Meta(correlation, causation))


def _view_snapshot(loader: Loader, model: Model[Any], tag: str, loaded: Loaded[S]) -> Snapshot[S]:
    entry = loaded.entry
    log = EventAt(loader.store, model.codec, entry.position)
    return Snapshot(tag, entry.version, entry.position, loaded.replayed, loaded.cached, entry.state, model.copy, log)


def _nested(what: str) -> DefinitionError:
    return DefinitionError(
        f"{what} was called by {deciding.get()}, which may only fold or decide: return events from the action,"
        " or use a reaction for what follows from them"
    )


def _carried(model: Model[S], carry: Callable[[S], S] | None, state: S) -> S:
    """What becomes of a state when its stream's books are closed."""
    if carry is None:
        return state
    found: object = carry(state)
    kind = model.definition.state
    if not isinstance(found, kind):
        discard(found)
        raise DefinitionError(
            f"carry= returned {called(found)}, but folding starts from a state: return an instance of {kind.__name__}"
        )
    copied: S = model.copy(found)
    return copied


def _check_expected(stream: str, entry: Entry[Any], expected: int | None) -> None:
    if expected is not None and expected != entry.version:
        raise ConcurrencyError(stream, expected, entry.version)
