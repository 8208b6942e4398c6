"""The worker: drains whenever there is something to do, and is asleep otherwise."""

import contextvars
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from act_fast._reactions.lane import Lane
from act_fast._reactions.reports import Drained, Ran
from act_fast._runtime.apart import on_interrupt
from act_fast._runtime.backoff import Backoff
from act_fast._workers.cycle import Cycle
from act_fast._workers.handler_pool import Batch, Crew
from act_fast._workers.handlers import Host
from act_fast._workers.lease import Lease
from act_fast._workers.runner import Program
from act_fast.errors import StoreClosedError

__all__ = ["Worker"]

_CORRELATE_EVENTS: Final = 10_000
_PATIENCE_SECONDS: Final = 0.1
_SHARE_SECONDS: Final = 0.05
_WHILE_RESTORED: Final = 0.05
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
    ) -> None:
        self._program = program
        self._host = host
        self._lanes = lanes
        self._concurrency = concurrency
        self._grace_seconds = grace_seconds
        self._stop = Stop()
        self._ended = threading.Event()
        self._here = 0

    def run(self) -> Ran:
        """Work until it is stopped."""
        with _ctrl_c(self.stop):
            return self._program.apart(self._run)

    def _run(self) -> Ran:
        self._here = threading.get_ident()
        self._program.begin(self)
        try:
            with on_interrupt(self.stop):
                return self._work([self._loop(lane) for lane in self._lanes().values()])
        finally:
            self._program.end(self)
            self._ended.set()

    def stop(self) -> None:
        """Let it end gracefully. Takes no lock, so that a signal handler may call it."""
        self._stop.asked = True
        self._program.wake()

    def wait(self) -> None:
        """Sleep until it has ended; not in the thread that it runs in."""
        if threading.get_ident() != self._here:
            self._ended.wait()

    def _loop(self, lane: Lane) -> "LaneLoop":
        program, host = self._program, self._host
        alone = len(program.catalog().lanes) == 1
        crew = Crew(self._concurrency, program.daemons, lambda: program.loop(host))
        cycle = Cycle(program, host, None if alone else {lane.name: lane}, crew)
        return LaneLoop(cycle, lane, self._stop)

    def _work(self, loops: "list[LaneLoop]") -> Ran:
        errors: list[BaseException] = []
        threads = [self._thread(each, errors) for each in loops[1:]]
        for thread in threads:
            thread.start()
        try:
            loops[0].run()
        except BaseException as error:
            errors.append(error)
        self.stop()
        for thread in threads:
            thread.join()
        deadline = time.monotonic() + self._grace_seconds
        abandoned = sum(each.end(deadline) for each in loops)
        self._program.wake()  # whoever saw their targets leased may go on with them
        if errors:
            raise errors[0]
        drained = Drained()
        for each in loops:
            drained = drained.and_then(each.drained)
        return Ran(drained, abandoned)

    def _thread(self, loop: "LaneLoop", errors: list[BaseException]) -> threading.Thread:
        context = contextvars.copy_context()
        given = (self._guarded, loop, errors)
        return threading.Thread(target=context.run, args=given, name="act-fast-lane", daemon=True)

    def _guarded(self, loop: "LaneLoop", errors: list[BaseException]) -> None:
        try:
            loop.run()
        except BaseException as error:
            errors.append(error)
            self.stop()


class LaneLoop:
    """The loop of one lane.

    A cycle whose handlers take long goes on by itself while the next one begins, with those of the crew that are free:
    whoever is quick never waits for whoever is slow.

    Attributes:
        drained: what all cycles have done.
    """

    def __init__(self, cycle: Cycle, lane: Lane, stop: Stop) -> None:
        self.drained = Drained()
        self._cycle = cycle
        self._program = cycle.program
        self._lane = lane
        self._stop = stop
        self._shared_at = time.monotonic()
        self._lock = threading.Lock()
        self._held: list[Batch] = []
        self._nothing_held = threading.Condition(self._lock)

    def run(self) -> None:
        """Drain until stopped."""
        failures = 0
        while not self._stop.asked:
            try:
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

    def _turn(self) -> None:
        """Do what there is to do; sleep if there is nothing."""
        port = self._program.port()
        seen = port.expect_news()  # before looking, so that what comes in between is not slept through
        found = self._program.correlate(_CORRELATE_EVENTS)
        if self._once() or not found.caught_up or self._stop.asked:
            return
        port.wait_news(seen, port.next_ms())

    def _once(self) -> bool:
        """One cycle; whether there was anything to claim."""
        held = sum(batch.left for batch in self._held)
        limit = min(self._cycle.size.targets, self._lane.targets_max - held)
        if self._cycle.crew.free <= 0 or limit <= 0:
            return False  # whoever ends will wake this loop
        leases = self._cycle.claim(limit)
        if leases:
            self._handle(leases)
        return bool(leases)

    def _handle(self, leases: list[Lease]) -> None:
        started = time.monotonic()
        batch = self._cycle.batch(leases)
        self._hold(batch)
        try:
            self._cycle.crew.begin(batch)
            batch.wait_moving(_PATIENCE_SECONDS)
        except BaseException:
            batch.stop()
            raise
        finally:
            ended, left = batch.leave(lambda late: self._late(batch, late))
            self._finish(batch, ended)
        self._cycle.ratio.learn(ended)
        self._share(leases)
        if left:
            self._cycle.size.shrink()
        else:
            self._cycle.size.learn(ended, time.monotonic() - started)

    def _share(self, leases: list[Lease]) -> None:
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
