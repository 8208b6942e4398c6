"""The verbs that keep less, as `Act` has them: closing books, pruning, and redacting."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from act_fast._app.exchange_verbs import noticing
from act_fast._events.meta import Actor
from act_fast._rows import Progress
from act_fast._states.snapshot import Snapshot
from act_fast._states.state import State
from act_fast._workers.runner import Program
from act_fast.errors import ValidationError
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store
from act_fast.stores.values import Pruned, PrunedPart, Redacted

if TYPE_CHECKING:
    from act_fast._app.pipeline import Engine
    from act_fast._app.retiring import Retired

__all__ = ["Keeps", "rewritable"]

S = TypeVar("S", bound=State)
T = TypeVar("T")


class Keeps:
    """The verbs."""

    _engine: "Engine"
    _program: Program
    _actor: Actor | None
    _expected: int | None
    _key: str | None

    def close_stream(self, state: type[S], stream: str) -> Snapshot[S]:
        """End a stream: you can load it as before, but it takes no more events. Closing it again does nothing.

        It stays closed for good. The event that closes it holds its last state, so the events below can be pruned. If
        you append to it through the store itself, those events are folded like any other, but `do` still refuses.

        Raises:
            ConcurrencyError: something else was appended at the same moment, or the stream is not at the version that
                `expecting` named. Nothing was closed.
            DefinitionError: the state cannot be stored as JSON.
        """
        return self._engine.close_stream(state, stream, self._actor, self._expected)

    def restart_stream(self, state: type[S], stream: str, *, carry: Callable[[S], S] | None = None) -> Snapshot[S]:
        """Close a stream's books and go on from there: append an event that holds the state as it is now.

        From then on, folding starts at that event. Earlier events no longer matter to the state, so they can be pruned.

        Args:
            state: the state class.
            stream: the stream.
            carry: what is carried over: a function that takes the state and returns the one to go on from. None carries
                all of it.

        Raises:
            ValidationError: the stream has no events, or a key was named with `once`, which this does not support.
            StreamClosedError: the stream is closed.
            ConcurrencyError: something else was appended at the same moment, or the stream is not at the version that
                `expecting` named. Nothing was appended.
            DefinitionError: the state cannot be stored as JSON, or `carry` returned something else.
        """
        if self._key is not None:
            raise ValidationError(
                "once(key) is not for `restart_stream`, which would restart again; write expecting(version) instead"
            )
        return self._engine.restart_stream(state, stream, carry, self._actor, self._expected)

    def retire(self, *, at: datetime | None = None, dry_run: bool = False) -> "Retired":
        """Close the books of all streams that are finished, as their state classes say with `retire=Retire(…)`.

        Looks at every stream once, and loads those that have been idle for long enough. A stream that is appended to
        meanwhile is left alone, and a stream with a waiting timer is not closed for good. Call it now and then, before
        `prune`.

        Args:
            at: the time up to which idle time is counted; None: now.
            dry_run: only say which streams would be closed.

        Raises:
            ValidationError: `at` has no time zone.
            DefinitionError: a state cannot be stored as JSON, or a function passed to `Retire` returned something else.
        """
        from act_fast._app.retiring import retire

        return retire(self._engine, at, self._program.now_us, self._actor, dry_run)

    def redact(
        self,
        positions: Iterable[int],
        *,
        reason: str,
        fields: Mapping[str, Any] | None = None,
        drop: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Redacted:
        """Replace data that should never have been written, and leave no byte of it in the store's files.

        Everything else stays as it was: see `LogStore.redact`, which says what is removed and what is not reached. It
        is recorded with the actor that `acting` named.

        Args:
            positions: of the events.
            reason: why; it is kept.
            fields: new values, by the names that the fields have in JSON.
            drop: remove all data. The event is left out wherever events are folded or handled.
            dry_run: only report what would be changed.
            progress: called now and then with (bytes done, bytes in all); if it raises, the work ends.

        Raises:
            StoreLockedError: another process has the store open, or workers of this app are running.
            StoreFullError: there is no room for a second log.
            OutcomeUnknownError: the new log is in its place, but may not survive a power cut.
            ValidationError: there is no such event, a new value is not of its field's type, or the store is not a log
                of its own.
        """
        from act_fast._app.redacting import check_readable

        store = rewritable(self._engine.store, "redact")
        meta = self._engine.meta_of("redact", "", self._actor)
        told = noticing(progress)
        check = partial(check_readable, self._engine.registry)
        if dry_run:
            return store.redact(positions, reason=reason, fields=fields, drop=drop, check=check, dry_run=True)
        return self._rewritten(
            lambda: store.redact(
                positions, reason=reason, fields=fields, drop=drop, check=check, meta=meta, progress=told
            )
        )

    def prune(
        self,
        *,
        streams: str | None = None,
        upto: int | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Pruned:
        """Empty the events below the one that closed their stream's books and holds its state.

        They keep their positions, versions, names and times, and are left out wherever events are folded or handled.
        Events with tags stay as they are, since decisions across streams rely on them. See `LogStore.prune`.

        Args:
            streams: only streams whose names match this regular expression anywhere.
            upto: nothing above this position.
            dry_run: only report what would be emptied.
            progress: called now and then with (done, in all); if it raises, the work ends.

        Raises:
            StoreLockedError: a reaction has yet to handle some of it; another process has the store open, or workers of
                this app are running.
            StoreFullError: there is no room for a second log.
            OutcomeUnknownError: the new log is in its place, but may not survive a power cut.
            ValidationError: an argument is not valid, or the store is not a log of its own.
        """
        store = rewritable(self._engine.store, "prune")
        meta = self._engine.meta_of("prune", "", self._actor)
        told = noticing(progress)
        if dry_run:
            return self._by_state(store.prune(streams=streams, upto=upto, dry_run=True, progress=progress))
        self._program.port()  # so that reactions that have not begun yet are known to want all of it
        return self._by_state(
            self._rewritten(lambda: store.prune(streams=streams, upto=upto, meta=meta, progress=told))
        )

    def _by_state(self, found: Pruned) -> Pruned:
        """The same, with the parts added up by state class."""
        registry = self._engine.registry
        parts: dict[str, tuple[int, int]] = {}
        for each in found.parts:
            event = registry.codec.classes.get(each.name)
            name = each.name if event is None else registry.owners[event].__name__
            events, data = parts.get(name, (0, 0))
            parts[name] = events + each.events, data + each.bytes
        rest = {name: getattr(found, name) for name in found.__struct_fields__ if name != "parts"}
        return Pruned(**rest, parts=[PrunedPart(name, *each) for name, each in sorted(parts.items())])

    def _rewritten(self, rewrite: Callable[[], T]) -> T:
        """Do it while nothing of this app works on the log."""

        def replaced() -> T:
            with self._program.paused():
                return rewrite()

        return self._program.apart(replaced)


def rewritable(store: Store, verb: str) -> LogStore:
    """A store as a log that can be rewritten.

    Raises:
        ValidationError: it is none.
    """
    if isinstance(store, LogStore):
        return store
    raise ValidationError(
        f"{type(store).__name__} cannot {verb}: machines keep copies of its events that this would not reach. Keep what"
        " may have to go in fields that are sealed; or move the store to a LogStore, and back"
    )
