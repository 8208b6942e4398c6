"""The reactions of one app on its store: known to the store, correlated, and ready to be drained."""

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from act_fast._checks.moments import machine_us
from act_fast._reactions.catalog import Catalog, Definitions, lanes_in, reactions_in
from act_fast._reactions.lane import Lane
from act_fast._reactions.reaction import Reaction
from act_fast._reactions.reports import Correlation, Drained
from act_fast._reactions.targets import HOLDER_BITS
from act_fast._runtime.apart import apart, check_interrupted
from act_fast._runtime.daemon_threads import Daemons
from act_fast._runtime.event_loop import LoopThread
from act_fast._runtime.forks import tell_in_child
from act_fast._runtime.interactive import called_alike, is_interactive, note
from act_fast._runtime.observers import Observers
from act_fast.errors import StoreClosedError, StoreLockedError, ValidationError
from act_fast.stores.capabilities import clock_of
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import ReactionPort, member_of, reactions_of

if TYPE_CHECKING:  # an app that only acts and reads has no use for what works
    from act_fast._timers.recurrence import Recurrence
    from act_fast._timers.ticker import Ticker
    from act_fast._workers.handlers import Steps
    from act_fast._workers.host import Host
    from act_fast._workers.lease_renewer import Renewer

__all__ = ["Pass", "Program"]

T = TypeVar("T")

_CHUNK_EVENTS: Final = 5000


class Stoppable(Protocol):
    """A worker, as far as its end goes, and the lanes that it was asked to work on; None: all."""

    @property
    def named(self) -> Sequence[str] | None: ...

    def stop(self) -> None: ...
    def wait(self) -> None: ...


class Pass:
    """A `settle` or a `drain` under way.

    Attributes:
        stopped: whether `stop` was called meanwhile.
        ended: whether it is over.
    """

    __slots__ = ("__weakref__", "ended", "stopped")

    def __init__(self) -> None:
        self.stopped = False
        self.ended = False


class _Threads:
    """What has threads of its own, which end when the program that they work for is collected."""

    def __init__(self, daemons: Daemons, loop: LoopThread) -> None:
        self.daemons = daemons
        self.loop = loop
        self.renewer: Renewer | None = None

    def abandon(self) -> None:
        """End them without waiting."""
        self.daemons.abandon()
        self.loop.abandon()
        if self.renewer is not None:
            self.renewer.abandon()


class Program:
    """What an app keeps of its reactions. Nothing is opened before the first verb that needs it.

    Attributes:
        store: where the events are.
        observers: who is told what happens.
        holder: the number that leases are held under.
        daemons: threads for handlers.
        lanes_declared: the lanes that the app itself declares.
        drained: what all cycles of this process have done.
        timing: is told of each lease that was finished: its reaction, the seconds that its events took, how many.
        settle_raises: whether `settle` raises what failed, unless it is told otherwise.
        debug: whether a handler that returns something is refused.
        now_us: what time it is where the events are, in µs since 1970.
    """

    def __init__(
        self, store: Store, observers: Observers, registry: Callable[[], Definitions], lanes: Sequence[Lane]
    ) -> None:
        self.store = store
        self.observers = observers
        self.holder = os.getpid() << HOLDER_BITS | int.from_bytes(os.urandom(HOLDER_BITS // 8), "big")
        self.daemons = Daemons("act-fast-handler")
        self.lanes_declared = lanes
        self.drained = Drained()
        self.timing: Callable[[str, float, int], object] | None = None
        self.settle_raises = False
        self.debug = False
        self._clock = clock_of(store)
        self.now_us: Callable[[], int] = machine_us if self._clock is None else self._moved_us
        self._registry = registry
        self._own: list[Reaction] = []
        self._lock = threading.RLock()
        self._correlating = threading.Lock()
        self._joining = threading.Lock()
        self._catalog: Catalog | None = None
        self._ticker: tuple[Catalog, Ticker | None] | None = None
        self._steps: Steps | None = None
        self._port: ReactionPort | None = None
        self._renewer: Renewer | None = None
        self._registered = 0
        self._loop = LoopThread()
        self._closed = False
        self._workers: tuple[Stoppable, ...] = ()
        self._stop_asked = False
        self._passes: tuple[weakref.ref[Pass], ...] = ()
        self._served: dict[str, int] = {}
        self._threads = _Threads(self.daemons, self._loop)
        weakref.finalize(self, self._threads.abandon).atexit = False
        tell_in_child(self)
        self.catalog()

    def forked(self) -> None:
        """The threads, and whoever held a lock, stayed with the parent; so did the leases."""
        self._lock = threading.RLock()
        self._correlating = threading.Lock()
        self._joining = threading.Lock()
        self._workers = ()
        self._stop_asked = False
        self._passes = ()
        self._steps = None
        self._port = None
        self._renewer = None
        self._registered = 0
        self.daemons = self._threads.daemons = Daemons("act-fast-handler")
        self._loop = self._threads.loop = LoopThread()
        self._threads.renewer = None

    def apart(self, call: Callable[[], T]) -> T:
        """Do what must not stop halfway where Ctrl-C does not reach it; see `apart`."""
        return apart(self.daemons, call)

    def declare(self, reaction: Reaction) -> None:
        """Add a reaction of the app's own; nothing changes when it does not fit."""
        self.apart(lambda: self._declare(reaction))

    def take(self, reaction: Reaction) -> None:
        """Add a reaction, unless another thread was faster and one of its name is there."""
        self.apart(lambda: self._declare(reaction, unless_there=True))

    def _declare(self, reaction: Reaction, unless_there: bool = False) -> None:
        with self._lock:
            if unless_there and any(each.name == reaction.name for each in self._own):
                return
            before, known, again = self._own, self._catalog, self._again(reaction)
            self._own = [each for each in before if each is not again]
            self._own.append(reaction)
            if again is not None:
                self._catalog = None
            try:
                self.catalog()
            except BaseException:
                self._own, self._catalog = before, known
                raise
            if again is not None:
                self._let_go()
                note(f"reaction {reaction.name!r} was declared again: the new one has taken its place")
        self.wake()

    def _again(self, reaction: Reaction) -> Reaction | None:
        """The reaction that a cell of a notebook, or a line of a session, has declared before and declares again."""
        if self._workers or self.passing or not is_interactive(reaction.handler):
            return None
        named = (each for each in self._own if each.name == reaction.name and is_interactive(each.handler))
        return next((each for each in named if called_alike(each.handler, reaction.handler)), None)

    @property
    def passing(self) -> bool:
        """Whether a `settle` or a `drain` is under way."""
        return any((known := each()) is not None and not known.ended for each in self._passes)

    def check(self, registry: Definitions) -> None:
        """Make sure that the reactions of an app would fit if it had these components."""
        self._compose(registry)

    def catalog(self) -> Catalog:
        """The reactions as they are declared now."""
        with self._lock:
            registry = self._registry()
            known = self._catalog
            declared = len(self._own) + sum(len(each.reactions) for each in registry.bundles)
            if known is None or len(known.reactions) != declared:
                known = self._catalog = self._compose(registry)
                self._steps = None
            return known

    def port(self) -> ReactionPort:
        """What the store keeps of reactions, with those of this app known to it."""
        port = self._port
        if port is not None and not getattr(port, "replaced", False) and self._registered == len(self.catalog().specs):
            return port
        return self.apart(self._registered_port)

    def _registered_port(self) -> ReactionPort:
        with self._lock:
            if self._closed:
                raise StoreClosedError("the app is closed, so its reactions cannot run")
            if self._port is not None and getattr(self._port, "replaced", False):
                self._let_go()
            if self._port is None:
                self._port = reactions_of(self.store)
            catalog = self.catalog()
            if self._registered < len(catalog.specs):
                self._port.register(catalog.specs[self._registered :])
                self._registered = len(catalog.specs)
            return self._port

    def renewer(self) -> "Renewer":
        """What keeps leases while handlers take long."""
        from act_fast._workers.lease_renewer import Renewer

        with self._lock:
            if self._renewer is None:
                self._renewer = self._threads.renewer = Renewer(self.port())
            return self._renewer

    def steps(self, host: "Host") -> "Steps":
        """The reactions, ready to be called for a host."""
        from act_fast._workers.handlers import Steps

        with self._lock:
            catalog = self.catalog()
            steps = self._steps
            if steps is None or steps.catalog is not catalog or not steps.host.serves_like(host):
                steps = self._steps = Steps(catalog, host, self.debug)
            return steps

    def loop(self, host: "Host") -> Any:
        """The event loop that `async def` handlers run on."""
        return host.loop or self._loop.loop()

    def correlate(self, limit: int | None) -> Correlation:
        """Find whom new events concern; among the threads of a process, one does it for all."""
        from act_fast._workers.correlating import correlate

        port = self.port()
        done = Correlation(caught_up=False)
        with self._correlating:
            if (ticker := self._ticking()) is not None:
                ticker.tick()
            while not done.caught_up and (limit is None or done.examined < limit):
                check_interrupted()
                left = _CHUNK_EVENTS if limit is None else min(limit - done.examined, _CHUNK_EVENTS)
                done = done.and_then(correlate(port, self.catalog(), self.observers, self.now_us, left))
        return done

    def _ticking(self) -> "Ticker | None":
        """What appends the ticks of reactions that recur; None if none does."""
        catalog = self.catalog()
        if self._ticker is None or self._ticker[0] is not catalog:
            recurring = [(each.name, each.recurrence) for each in catalog.reactions if each.recurrence is not None]
            self._ticker = catalog, self._make_ticker(recurring) if recurring else None
        return self._ticker[1]

    def _make_ticker(self, recurring: "list[tuple[str, Recurrence]]") -> "Ticker":
        from act_fast._timers.ticker import Ticker

        return Ticker(self.store, self.now_us, recurring)

    def next_ms(self, port: ReactionPort) -> int | None:
        """How many ms until a lease ends, a retry, a deferral or a tick is due; None when nothing waits."""
        ticker = self._ticking()
        waits = (port.next_ms(), None if ticker is None else ticker.next_ms())
        return min((each for each in waits if each is not None), default=None)

    def _moved_us(self) -> int:
        """What time it is on a clock that a test may move."""
        try:
            return machine_us() if self._clock is None else self._clock.now_us()
        except StoreClosedError:  # a handler outlives it
            return machine_us()

    def unblock_if_known(self, target: str) -> None:
        """Let a target go on, if it is blocked."""
        with suppress(ValidationError):  # there is none yet
            self.port().unblock([target])

    @property
    def at_work(self) -> bool:
        """Whether a worker is running."""
        return bool(self._workers)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def in_turn(self, lanes: Mapping[str, Lane]) -> list[tuple[str, Lane]]:
        """Lanes, first the one that had nothing claimed of it the longest, so that a limit leaves none out for good."""
        return sorted(lanes.items(), key=lambda each: self._served.get(each[0], 0))

    def served(self, lane: str) -> None:
        """Note that something was claimed of a lane."""
        self._served[lane] = max(self._served.values(), default=0) + 1

    def note(self, drained: Drained) -> None:
        """Add what a cycle has done."""
        with self._lock:
            self.drained = self.drained.and_then(drained)

    def wake(self) -> None:
        """Wake all who sleep until there is news, here and in other processes."""
        port = self._port
        if port is not None:
            with suppress(StoreClosedError):
                port.wake()

    def begin(self, worker: Stoppable) -> None:
        """Note that a worker is at work, so that it can be stopped. If `stop` was called before, that is now."""
        self.port()
        with self._lock:
            self._workers = (*self._workers, worker)
        self._join()
        if self._stop_asked:
            self._stop_asked = False
            worker.stop()

    def end(self, worker: Stoppable) -> None:
        """Note that it has ended."""
        with self._lock:
            self._workers = tuple(each for each in self._workers if each is not worker)
        self._join()

    def _join(self) -> None:
        """Have a share of the targets while there are workers, where a store shares them out."""
        port = self._port
        member = None if port is None else member_of(port)
        if member is None:
            return
        with self._joining:
            named = [worker.named for worker in self._workers]
            if not named:
                member.leave()
            elif any(each is None for each in named):
                member.join(self.holder, None)
            else:
                member.join(self.holder, sorted({lane for each in named for lane in each or ()}))

    def begin_pass(self) -> Pass:
        """Note that a `settle` or a `drain` is under way. One that is dropped in the middle, by Ctrl-C, has ended."""
        begun = Pass()
        with self._lock:
            there = (each for each in self._passes if (known := each()) is not None and not known.ended)
            self._passes = (*there, weakref.ref(begun))
        self._take_whole()
        return begun

    def end_pass(self, begun: Pass) -> None:
        """Note that it is over."""
        begun.ended = True
        self._take_whole()

    def _take_whole(self) -> None:
        """Have all that is ready while something waits for it, whomever it belongs to."""
        port = self._port
        member = None if port is None else member_of(port)
        if member is not None:
            with suppress(StoreClosedError):
                member.whole(any((known := each()) is not None and not known.ended for each in self._passes))

    def stop(self) -> None:
        """Stop all workers, or the next one when nothing is at work. Takes no lock: a signal handler may call it."""
        # A worker that begins meanwhile is either among those seen below, or sees the mark.
        self._stop_asked = True
        workers = self._workers
        for worker in workers:
            worker.stop()
        passes = [known for each in self._passes if (known := each()) is not None and not known.ended]
        for each in passes:
            each.stopped = True
        if workers or passes:
            self._stop_asked = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let go of what the store keeps of reactions, while the block replaces it. The next verb opens it anew.

        Raises:
            StoreLockedError: workers are running.
        """
        with self._lock:
            if self._workers:
                raise StoreLockedError("workers of this app are running; `stop` them and wait until `run` has returned")
            self._let_go()
            yield

    def _let_go(self) -> None:
        port, self._port = self._port, None
        renewer, self._renewer = self._renewer, None
        self._registered = 0
        if renewer is not None:
            renewer.close()
        if port is not None:
            port.close()

    def close(self) -> None:
        """Let go of what the store keeps of reactions; must come before the store is closed."""
        for worker in self._workers:
            worker.stop()
            worker.wait()
        with self._lock:
            self._closed = True
            port, self._port = self._port, None
            renewer, self._renewer = self._renewer, None
            steps, self._steps = self._steps, None
        if renewer is not None:
            renewer.close()
        self._loop.close()
        if steps is not None:
            steps.host.close()
        self.daemons.dismiss()
        if port is not None:
            port.close()

    def _compose(self, registry: Definitions) -> Catalog:
        """The catalog of all that is declared; what is known already keeps its number."""
        declared = [*self._own, *reactions_in(registry)]
        known = self._catalog.reactions if self._catalog else ()
        kept = [each for each in known if each in declared]
        reactions = [*kept, *(each for each in declared if each not in kept)]
        return Catalog(self.store, registry, reactions, [self.lanes_declared, *lanes_in(registry)])
