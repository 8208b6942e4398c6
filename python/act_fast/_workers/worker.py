"""The worker: drains whenever there is something to do, and is asleep otherwise."""

import contextvars
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from act_fast._reactions.catalog import Catalog
from act_fast._reactions.lane import Lane
from act_fast._reactions.reports import Drained, Ran
from act_fast._runtime.apart import on_interrupt
from act_fast._runtime.backoff import Backoff
from act_fast._workers.cycle import Cycle
from act_fast._workers.handler_pool import Batch, Crew
from act_fast._workers.host import Host
from act_fast._workers.lead import Lead
from act_fast._workers.lease import Lease
from act_fast._workers.runner import Program
from act_fast.errors import StoreClosedError
from act_fast.stores.reaction_port import ReactionPort

__all__ = ["Worker"]

_CORRELATE_EVENTS: Final = 10_000
_PATIENCE_SECONDS: Final = 0.1
_SHARE_SECONDS: Final = 0.05
_WHILE_RESTORED: Final = 0.05
_LOOK_MS: Final = 1000
"""How long a sleep with an end lasts before the clocks are read again: the time of day may be set, and the machine
suspended."""
_AFTER_ERROR: Final = Backoff(first=0.1, factor=2.0, longest=30.0)


class Stop:
    """Whether somebody has asked to stop; no more than that, since signal handlers ask too."""

    asked = False


class Worker:
    """One call of `run`: a loop for each lane, each in a thread of its own if there are several."""

    def __init__(
        self,
        program: Program,
        host: Host,
        lanes: Callable[[], Mapping[str, Lane]],
        concurrency: int,
        grace_seconds: float,
        named: Sequence[str] | None = None,
    ) -> None:
        self.named = named
        self._program = program
        self._host = host
        self._lanes = lanes
        self._concurrency = concurrency
        self._grace_seconds = grace_seconds
        self._stop = Stop()
        self._ended = threading.Event()
        self._here = 0
        self._context = contextvars.copy_context()
        self._loops: dict[str, LaneLoop] = {}
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self._covering = threading.Lock()
        self._covered: Catalog | None = None

    def run(self) -> Ran:
        """Work until it is stopped."""
        with _ctrl_c(self.stop):
            return self._program.apart(self._run)

    def _run(self) -> Ran:
        self._here = threading.get_ident()
        self._program.begin(self)
        try:
            with on_interrupt(self.stop):
                return self._work()
        finally:
            self._program.end(self)
            self._ended.set()
            self._program.wake()  # what was let go of at the end is for others, who saw it held

    def stop(self) -> None:
        """Let it end gracefully. Takes no lock, so that a signal handler may call it."""
        self._stop.asked = True
        self._program.wake()

    def wait(self) -> None:
        """Sleep until it has ended; not in the thread that it runs in."""
        if threading.get_ident() != self._here:
            self._ended.wait()

    def _work(self) -> Ran:
        first, *others = self._cover()
        try:
            self._start(others)
            first.run()
        except BaseException as error:
            self._errors.append(error)
        self.stop()
        for thread in self._threads:  # none is added any more: they are by loops that have not ended
            thread.join()
        deadline = time.monotonic() + self._grace_seconds
        abandoned = sum(each.end(deadline) for each in self._loops.values())
        if self._errors:
            raise self._errors[0]
        drained = Drained()
        for each in self._loops.values():
            drained = drained.and_then(each.drained)
        return Ran(drained, abandoned)

    def look(self) -> None:
        """Take up lanes that were declared after the worker began."""
        if self._program.catalog() is self._covered:
            return
        with self._covering:
            self._start(self._cover())

    def _cover(self) -> "list[LaneLoop]":
        """New loops for the lanes that have none."""
        catalog = self._program.catalog()
        lanes = self._lanes()
        alone = len(catalog.lanes) == 1
        for name, loop in self._loops.items():
            if not alone:
                loop.narrow(name, catalog.lanes[name])
        fresh = [self._loop(lane, alone) for name, lane in lanes.items() if name not in self._loops]
        self._covered = catalog
        return fresh

    def _loop(self, lane: Lane, alone: bool) -> "LaneLoop":
        program, host = self._program, self._host
        crew = Crew(self._concurrency, program.daemons, lambda: program.loop(host), program.wake)
        cycle = Cycle(program, host, None if alone else {lane.name: lane}, crew)
        loop = self._loops[lane.name] = LaneLoop(cycle, lane, self._stop, self.look)
        return loop

    def _start(self, loops: "Sequence[LaneLoop]") -> None:
        """Start loops, or forget those that cannot be started now, so that the next look takes them up."""
        for number, loop in enumerate(loops):
            context = self._context.copy()
            thread = threading.Thread(target=context.run, args=(self._guarded, loop), name="act-fast-lane", daemon=True)
            try:
                thread.start()
            except BaseException:
                for each in loops[number:]:
                    del self._loops[each.lane]
                self._covered = None
                raise
            self._threads.append(thread)

    def _guarded(self, loop: "LaneLoop") -> None:
        try:
            loop.run()
        except BaseException as error:
            self._errors.append(error)
            self.stop()


class LaneLoop:
    """The loop of one lane.

    While handlers are quick, one thread claims, calls them and finishes, and the loop's own thread watches it. A cycle
    whose handlers take long goes on by itself while the next one begins, with those of the crew that are free: quick
    handlers never wait for slow ones.

    Attributes:
        drained: what all cycles have done.
        lane: the name of the lane that it was begun for.
    """

    def __init__(self, cycle: Cycle, lane: Lane, stop: Stop, look: Callable[[], object]) -> None:
        self.drained = Drained()
        self._cycle = cycle
        self._program = cycle.program
        self._lane = lane
        self.lane = lane.name
        self._stop = stop
        self._look = look
        self._shared_at = time.monotonic()
        self._quick = True
        self._lock = threading.Lock()
        self._held: list[Batch] = []
        self._nothing_held = threading.Condition(self._lock)

    def run(self) -> None:
        """Drain until stopped."""
        failures = 0
        while not self._stop.asked:
            try:
                if self._quick:
                    self._follow()
                else:
                    self._turn()
                failures = 0
            except StoreClosedError:
                if self._stop.asked:
                    return
                if self._program.store.closed or self._program.closed:
                    raise
                self._rest(_WHILE_RESTORED)  # a restored log has taken the place of this one, or is about to
            except Exception as error:  # the disk, perhaps; leases that were not finished run out
                failures += 1
                self._program.observers.fail(f"working on lane {self._lane.name!r}", error)
                self._rest(_AFTER_ERROR.wait(failures))

    def narrow(self, name: str, lane: Lane) -> None:
        """Work on this lane only, as there are others by now."""
        self._cycle.lanes = {name: lane}

    def end(self, deadline: float) -> int:
        """Wait until handlers that are at work have ended, and answer how many have not by then."""
        with self._lock:
            held = list(self._held)
        for batch in held:
            batch.stop()
        with self._nothing_held:
            self._nothing_held.wait_for(lambda: not self._held, max(0.0, deadline - time.monotonic()))
            held = list(self._held)
        for batch in held:
            self._program.renewer().drop(batch)
        return sum(batch.left for batch in held)

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stop.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _PATIENCE_SECONDS))

    def _follow(self) -> None:
        """Have another thread work while handlers are quick; take over when one of them keeps it."""
        lead = Lead()
        lead.begin(self._program.daemons, lambda: self._lead(lead))
        batch = lead.watch(lambda: self._stop.asked)
        if batch is not None:
            try:
                self._cycle.crew.help(batch)
            except BaseException:
                batch.stop()
                raise
            finally:
                self._go_on(batch)

    def _lead(self, lead: Lead) -> None:
        while self._quick and not self._stop.asked and not lead.over:
            self._turn(lead)

    def _turn(self, lead: Lead | None = None) -> None:
        """Do what there is to do; sleep if there is nothing.

        All that could give this loop something to do changes a number that the store keeps, after the fact: a commit, a
        declaration, a target let go of or handled by hand, a hand given back, `stop`. The number is read before the
        loop looks, and the sleep ends when it is another one, so no order of the two is slept through.
        """
        port = self._program.port()
        seen = port.expect_news()
        self._look()
        found = self._program.correlate(_CORRELATE_EVENTS)
        if not self._once(lead) and found.caught_up:
            self._sleep(port, seen)

    def _sleep(self, port: ReactionPort, seen: int) -> None:
        """Sleep until there is news, or the next target's time has come by the clock that it waits for."""
        while not self._stop.asked:
            due_ms = self._program.next_ms(port)
            nap_ms = None if due_ms is None else min(due_ms, _LOOK_MS)
            if port.wait_news(seen, nap_ms) != seen or nap_ms == due_ms:
                return

    def _once(self, lead: Lead | None) -> bool:
        """One cycle; whether there was anything to claim."""
        with self._lock:
            held = sum(batch.left for batch in self._held)
        spare = self._cycle.crew.spare()
        limit = min(self._cycle.size.targets, self._lane.targets_max - held)
        if held:
            limit = min(limit, spare)  # what nobody here is free for is left to others
        if spare <= 0 or limit <= 0:
            return False  # whoever ends will wake this loop
        began = time.monotonic()
        leases = self._cycle.claim(limit)
        if leases:
            self._handle(self._cycle.batch(leases, began), lead)
        return bool(leases)

    def _handle(self, batch: Batch, lead: Lead | None) -> None:
        self._hold(batch)
        mine = True
        try:
            if lead is None or batch.awaited:
                self._cycle.crew.begin(batch)
            else:
                mine = self._work(batch, lead)
        except BaseException:
            batch.stop()
            raise
        finally:
            if mine:
                self._go_on(batch)

    def _work(self, batch: Batch, lead: Lead) -> bool:
        """Call the handlers of a batch in this thread; whether it still leads."""
        lead.enter(batch)
        try:
            self._cycle.crew.work(batch)
        except BaseException as error:
            if lead.leave():
                raise
            self._program.observers.fail(f"working on lane {self._lane.name!r}", error)
            return False
        return lead.leave()

    def _go_on(self, batch: Batch) -> None:
        """Finish what of a batch has ended, or does so soon; the rest will be when it has."""
        batch.wait_moving(_PATIENCE_SECONDS)
        handled = time.monotonic()
        ended, left = batch.leave(lambda late: self._late(batch, late))
        self._finish(batch, ended)
        self._quick = not (left or batch.slow or batch.awaited)
        self._cycle.ratio.learn(ended)
        self._share(batch.leases)
        if left:
            self._cycle.size.shrink()
        else:
            besides = time.monotonic() - handled + batch.claimed - batch.began
            self._cycle.size.learn(ended, handled - batch.claimed, besides)

    def _share(self, leases: Sequence[Lease]) -> None:
        """Wake those who sleep while there is more to do: they saw these targets held, and can have some of them."""
        now = time.monotonic()
        if now > self._shared_at + _SHARE_SECONDS and any(lease.more for lease in leases):
            self._shared_at = now
            self._program.wake()

    def _late(self, batch: Batch, leases: list[Lease]) -> None:
        """Finish a lease whose cycle has long gone on; in the thread that has handled it."""
        try:
            self._finish(batch, leases)
        except Exception as error:
            self._program.observers.fail(f"finishing {leases[0].name!r}", error)
        if self._more_to_do(leases):
            self._program.wake()

    def _more_to_do(self, leases: list[Lease]) -> bool:
        """Whether the loop, which may be asleep, has to look again: somebody can be claimed, or is due."""
        if any(lease.then != "free" for lease in leases):
            return True
        with suppress(StoreClosedError):
            return self._program.port().any_ready([self._lane.name])
        return False

    def _hold(self, batch: Batch) -> None:
        self._program.renewer().hold(batch)
        with self._lock:
            self._held.append(batch)

    def _finish(self, batch: Batch, leases: list[Lease]) -> None:
        drained = Drained()
        try:
            if leases:
                drained = self._cycle.finish(leases)
        finally:
            with self._nothing_held:
                self.drained = self.drained.and_then(drained)
                batch.finished += len(leases)
                whole = batch.finished == len(batch.leases)
                if whole:
                    self._held.remove(batch)
                    self._nothing_held.notify_all()
            if whole:
                self._program.renewer().drop(batch)


@contextmanager
def _ctrl_c(stop: Callable[[], object]) -> Iterator[None]:
    """Let the first Ctrl-C stop gracefully, and the second one interrupt, where nobody else has a say in it."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
