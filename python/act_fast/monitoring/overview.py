"""A store at a glance: how far it has come, and how far each reaction is behind."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, TypeAlias

import msgspec

from act_fast._app.act import Act
from act_fast._app.address import is_store, open_address
from act_fast._app.async_act import AsyncAct
from act_fast._checks import arguments
from act_fast._model.registry import Registry
from act_fast._reactions.skipped import skips_by_reaction
from act_fast._reactions.targets import STATES, Target, TargetState, busy_targets, cursors, state_of
from act_fast._timers.names import is_own
from act_fast._timers.timer import since
from act_fast.errors import EngineError, ValidationError
from act_fast.monitoring.kept import Kept, kept, last_created
from act_fast.stores.log.local import LocalLog
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import ReactionPort, offers_reactions, reactions_of
from act_fast.stores.replicated.membership import Worker

__all__ = ["Overview", "ReactionOverview", "ReplicaOverview", "Source", "look"]

Source: TypeAlias = Act | AsyncAct | Store | str | os.PathLike[str]
"""An app, a store, or the path or address of an existing one."""

_HEADS_MAX: Final = 1000
"""Among so many targets that are behind, the furthest first, the oldest waiting event of a reaction is looked for."""


class ReactionOverview(msgspec.Struct, frozen=True):
    """How a reaction is doing, over all its targets.

    Attributes:
        reaction: its name.
        targets: how many of its targets are in each state: blocked, leased, waiting (for a retry, or deferred), behind,
            or caught up. A target that several reactions share counts for each of them.
        lag: how many events its targets still have to process; timers count once they are due.
        uncorrelated: how many positions of the log no program has looked at yet for this reaction. If workers are
            running, that is none, or soon will be; if not, it grows with the log.
        age: for how many seconds the oldest event that it still has to process, or to look at, has been in the log; 0
            if there is none. Deferred events do not count before their time.
        retrying: how many of its targets are at an event that has failed, and will be retried.
        skipped: how many events were skipped by hand.
    """

    reaction: str
    targets: dict[TargetState, int]
    lag: int
    uncorrelated: int
    age: float
    retrying: int
    skipped: int

    @property
    def blocked(self) -> int:
        """How many of its targets are blocked."""
        return self.targets["blocked"]


class ReplicaOverview(msgspec.Struct, frozen=True):
    """How the replica of a store on several machines is doing.

    Attributes:
        lag: how far it is behind the ordered log, as a difference of places; None where the engine cannot be asked.
        members: how many nodes have the store open, as far as this one has heard.
        trouble: why it cannot continue at the moment; empty while all is well.
        set_aside: how many replicas that were damaged or too old are kept beside it.
        generation: how often a worker has joined so far.
        workers: the programs that run workers, and how many targets each owns.
    """

    lag: int | None
    members: int
    trouble: str
    set_aside: int = 0
    generation: int = 0
    workers: tuple[Worker, ...] = ()


class Overview(msgspec.Struct, frozen=True):
    """A store at a glance.

    Attributes:
        head: the position of the last event.
        streams: how many streams have events.
        bytes: the space that the store uses.
        last_created: when the last event was committed; None if there are none.
        last_flush: when appended data last became safe from a power cut; None if that is not known.
        blocked: how many targets are blocked, each counted once.
        reactions: how each reaction is doing, by name.
        at: when this was looked at.
        replica: how the replica is doing, of a store on several machines.
        kept: how much is hot, compressed, archived, pruned and sealed.
    """

    head: int
    streams: int
    bytes: int
    last_created: datetime | None
    last_flush: datetime | None
    blocked: int
    reactions: dict[str, ReactionOverview]
    at: datetime
    replica: ReplicaOverview | None = None
    kept: Kept | None = None

    @property
    def lag(self) -> int:
        """The lag of the reaction that is furthest behind, including events not correlated yet."""
        return max((each.lag + each.uncorrelated for each in self.reactions.values()), default=0)

    @property
    def age(self) -> float:
        """The age of the reaction whose oldest event is the oldest."""
        return max((each.age for each in self.reactions.values()), default=0.0)


def look(source: Source, /) -> Overview:
    """Look at a store and its reactions. Changes nothing; the more targets there are, the longer it takes.

    Args:
        source: an app, a store, or the path or address of an existing one.

    Raises:
        ValidationError: the source is none of these.
        StoreError: the store cannot be opened or read.
    """
    with _opened(source) as (store, port):
        return _overview(store, port, _registry(source))


@contextmanager
def _opened(source: Source) -> Iterator[tuple[Store, ReactionPort | None]]:
    """The store, and what it keeps of reactions if it keeps anything."""
    if isinstance(source, AsyncAct):
        source = source.sync
    if isinstance(source, Act):
        yield source.store, source._program.port() if offers_reactions(source.store) else None
    elif not isinstance(source, str | os.PathLike):
        if not is_store(source):
            raise ValidationError(f"{type(source).__name__} cannot be looked at; pass an app, a store or its path")
        with _reactions(source) as port:
            yield source, port
    else:
        with _open(source) as store, _reactions(store) as port:
            yield store, port


def _open(source: str | os.PathLike[str]) -> Store:
    if isinstance(source, str) and "://" in source:
        return open_address(source, create=False)
    return LogStore(arguments.directory(source), durability=None, create=False)


@contextmanager
def _reactions(store: Store) -> Iterator[ReactionPort | None]:
    """What a store keeps of reactions. A log that no reaction has ever run on stays as it is."""
    path = getattr(store, "path", "") if isinstance(store, LogStore) else ""
    unknown = bool(path) and path != "memory:" and not os.path.isdir(os.path.join(path, "reactions"))
    if unknown or not offers_reactions(store):
        yield None
        return
    port = reactions_of(store)
    try:
        yield port
    finally:
        port.close()


def _registry(source: Source) -> Registry | None:
    """The registry of an app."""
    app = source.sync if isinstance(source, AsyncAct) else source
    return app._engine.registry if isinstance(app, Act) else None


def _overview(store: Store, port: ReactionPort | None, registry: Registry | None) -> Overview:
    now = datetime.now(UTC)
    stats = store.stats()
    behind = _Behind(store, port, now) if port is not None else None
    return Overview(
        head=store.head,
        streams=stats.streams,
        bytes=stats.bytes,
        last_created=last_created(store, stats),
        last_flush=stats.last_flush,
        blocked=0 if behind is None else behind.blocked,
        reactions={} if behind is None else dict(behind.reactions()),
        at=now,
        replica=_replica(store),
        kept=kept(store, stats, registry),
    )


def _replica(store: Store) -> ReplicaOverview | None:
    if not isinstance(store, LocalLog) or isinstance(store, LogStore):
        return None
    from act_fast.stores.replicated.store import ReplicatedStore  # which few need

    if not isinstance(store, ReplicatedStore):
        return None
    lag, trouble = None, store.trouble
    try:
        lag = store.lag
    except EngineError as error:
        trouble = trouble or str(error)
    workers = tuple(store.workers())
    return ReplicaOverview(lag, len(store.members()), trouble, len(store.set_aside), store.generation(), workers)


class _Behind:
    """The reactions of a store, counted from its targets in one pass."""

    def __init__(self, store: Store, port: ReactionPort, now: datetime) -> None:
        self.blocked = 0
        self._store = store
        self._port = port
        self._now = now
        self._states: defaultdict[str, Counter[TargetState]] = defaultdict(Counter)
        self._lag: Counter[str] = Counter()
        self._retrying: Counter[str] = Counter()
        self._lagging: defaultdict[str, list[Target]] = defaultdict(list)
        self._idle: Counter[str] = Counter()
        # Read in this order, so that events processed meanwhile never count as not looked at yet.
        self._head = store.head
        self._positions = {each.reaction: each.position for each in cursors(port)}
        for target in busy_targets(port, self._idle.update):
            self._count(target)

    def _count(self, target: Target) -> None:
        state = state_of(target)
        self.blocked += target.blocked
        for name in target.reactions:
            self._states[name][state] += 1
            if target.due is None or target.attempts or not is_own(name):  # a timer that waits is not late
                self._lag[name] += target.lag
            self._retrying[name] += bool(target.attempts) and not target.blocked
            if target.lag and (target.attempts or target.due is None):
                self._lagging[name].append(target)

    def reactions(self) -> Iterator[tuple[str, ReactionOverview]]:
        """Each of them, by name."""
        skips = skips_by_reaction(self._port)
        for name in sorted({*self._states, *self._idle, *self._positions}):
            self._states[name]["caught up"] += self._idle[name]
            position = self._positions.get(name, self._head)
            if is_own(name) and position < self._head and self._none_of_its_own(position):
                position = self._head
            yield (
                name,
                ReactionOverview(
                    reaction=name,
                    targets={state: self._states[name][state] for state in STATES},
                    lag=self._lag[name],
                    uncorrelated=max(0, self._head - position),
                    age=self._age(name, position),
                    retrying=self._retrying[name],
                    skipped=skips[name],
                ),
            )

    def _none_of_its_own(self, position: int) -> bool:
        """Whether the framework's own reactions have nothing to look at behind a position."""
        own = self._own_names
        return not own or next(iter(self._store.query(names=own, after=position, limit=1)), None) is None

    @cached_property
    def _own_names(self) -> list[str]:
        return [name for name in self._store.names() if is_own(name)]

    def _age(self, name: str, correlated: int) -> float:
        """How long the oldest event has been waiting that a reaction has not processed."""
        oldest = self._oldest(name, self._lagging[name])
        if correlated < self._head:
            oldest = min(oldest or correlated + 1, correlated + 1)
        if oldest is None:
            return 0.0
        event = next(iter(self._store.query(after=oldest - 1, before=oldest + 1, limit=1)), None)
        return 0.0 if event is None else max(0.0, (self._now - since(event)).total_seconds())

    def _oldest(self, name: str, behind: Iterable[Target]) -> int | None:
        """The position of the first event that waits. A target above it cannot have an older one."""
        oldest: int | None = None
        for target in sorted(behind, key=lambda each: each.watermark)[:_HEADS_MAX]:
            if oldest is not None and target.watermark + 1 >= oldest:
                break
            nexts = [at for reaction, at, *_ in self._port.heads(target.name) if reaction == name and at is not None]
            oldest = min(nexts if oldest is None else [oldest, *nexts], default=oldest)
        return oldest
