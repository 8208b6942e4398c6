"""One cycle of draining: claim, handle, finish, all below one cut."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from act_fast._events.context import ambient
from act_fast._reactions.lane import Lane, lane_seconds
from act_fast._reactions.reports import Acked, Blocked, Claimed, Drained
from act_fast._runtime.apart import in_caller, on_interrupt
from act_fast._runtime.logger import log
from act_fast._workers.claim_size import Size
from act_fast._workers.delivery import Handling
from act_fast._workers.frontier_ratio import Ratio
from act_fast._workers.handler_pool import Batch, Crew
from act_fast._workers.host import Host
from act_fast._workers.lease import Lease
from act_fast._workers.runner import Program

__all__ = ["Cycle"]

_SLICE_SECONDS: Final = 0.5
"""A target is worked on for so long at a time: its neighbours get their turn, and little has to be done again."""


class Cycle:
    """Claims, handles and finishes the targets of some lanes, over and over.

    Attributes:
        program: the reactions.
        crew: who handles.
        ratio: how claims are split between the frontiers.
        size: how many targets are claimed at once, where that is left to the cycle.
        lanes: those that it claims from; None: all.
    """

    def __init__(self, program: Program, host: Host, lanes: Mapping[str, Lane] | None, crew: Crew) -> None:
        self.program = program
        self.crew = crew
        self.ratio = Ratio()
        self.size = Size(crew.free)
        self._host = host
        self.lanes = lanes
        here = ambient.get()
        self._actor = here.actor if here else None

    def claim(self, limit: int | None = None, each_lane: int | None = None) -> list[Lease]:
        """Lease targets that have work, as many as their lanes allow, at most `limit`, and `each_lane` of a lane."""
        program = self.program
        port = program.port()
        cut = port.cut()
        lanes = program.catalog().lanes if self.lanes is None else self.lanes
        leases: list[Lease] = []
        for name, lane in lanes.items() if limit is None else program.in_turn(lanes):
            targets = lane.targets_max if each_lane is None else min(lane.targets_max, each_lane)
            targets = targets if limit is None else min(targets, limit - len(leases))
            if targets <= 0:
                break
            lagging, leading = self.ratio.split(targets)
            lease_ms = lane_seconds("lease=", lane.lease)
            asked = None if self.lanes is None and len(lanes) == 1 else [name]
            found = port.claim(asked, lagging, leading, lane.events_max, lease_ms, program.holder, cut)
            leases += [Lease(each, lease_ms, port) for each in found]
            if found and limit is not None:
                program.served(name)
        if leases and "claimed" in program.observers.kinds:
            for each in leases:
                claimed = Claimed(each.name, len(each.rows), each.attempts, each.lagging)
                program.observers.tell("claimed", claimed)
        return leases

    def once(self, limit: int | None = None, each_lane: int | None = None) -> Drained:
        """A whole cycle: nothing of it is left when it returns."""
        leases = self.claim(limit, each_lane)
        return self.handle(leases) if leases else Drained()

    def batch(self, leases: Sequence[Lease], began: float = 0.0) -> Batch:
        """The leases, ready to be handled, or given back if that cannot begin; `began`: when their claim did."""
        until = time.monotonic() + _SLICE_SECONDS
        for lease in leases:
            lease.until = until
        program = self.program
        try:
            program.renewer()  # which is needed next
            handling = Handling(program.steps(self._host), self._actor, program.observers, program.now_us)
            return Batch(leases, handling, began)
        except BaseException:  # nothing can be imported where no descriptor is left
            self.finish(leases)
            raise

    def handle(self, leases: Sequence[Lease]) -> Drained:
        """Handle leases and finish them together; a single one in the thread that drains."""
        began = time.monotonic()
        batch = self.batch(leases)
        renewer = self.program.renewer()
        here = len(leases) == 1 and not batch.on_loop
        try:
            renewer.hold(batch)
            with on_interrupt(batch.stop):
                if here:
                    self._run_here(batch)
                else:
                    self.crew.begin(batch)
                    batch.wait(None)
        except BaseException:
            batch.stop()
            if not here:
                batch.wait(None)
            self.finish(leases)
            self.let_go()
            raise
        finally:
            renewer.drop(batch)
        self.ratio.learn(leases)
        self.size.learn(leases, time.monotonic() - began)
        return self.finish(leases)

    def _run_here(self, batch: Batch) -> None:
        """Handle the only lease of a batch in the thread that drains, where Ctrl-C ends a handler at once."""
        [lease] = batch.leases
        if batch.handling.runs_apart(lease):
            batch.handling.run(lease)
        else:
            in_caller(lambda: batch.handling.run(lease))

    def finish(self, leases: Sequence[Lease]) -> Drained:
        """Hand in what has become of leases, in one step."""
        port = leases[0].port or self.program.port()
        accepted = port.finish([lease.outcome() for lease in leases], [lease.blamed for lease in leases])
        kept = [lease for lease, was in zip(leases, accepted, strict=True) if was]
        lost = [lease.name for lease, was in zip(leases, accepted, strict=True) if not was]
        if lost:
            log.warning("leases were lost, so events will be delivered again: %s", ", ".join(lost))
        done = Drained(
            leased=len(leases),
            handled=sum(lease.handled for lease in kept),
            acked=sum(lease.done is not None for lease in kept),
            blocked=sum(lease.then == "block" for lease in kept),
            retried=sum(lease.then == "retry" for lease in kept),
            deferred=sum(lease.then == "defer" for lease in kept),
            lost=len(lost),
        )
        self.program.note(done)
        if self.program.timing is not None:
            self._time(self.program.timing, kept)
        self._tell(kept)
        return done

    def _time(self, timing: Callable[[str, float, int], object], leases: Sequence[Lease]) -> None:
        """Tell how long leases took, each by the first of its reactions."""
        reactions = self.program.catalog().reactions
        for lease in leases:
            if lease.took and lease.reactions:
                timing(reactions[lease.reactions[0][0]].name, lease.took, lease.handled)

    def let_go(self) -> None:
        """Wake workers that are asleep because they saw held what this cycle has let go of."""
        if self.program.port().any_ready():
            self.program.wake()

    def _tell(self, leases: Sequence[Lease]) -> None:
        observers = self.program.observers
        for lease in leases:
            if lease.then == "block":
                log.error(
                    "%r is blocked at position %d: %s; nothing more is handled there until the cause is fixed and it is"
                    " unblocked (app.unblock(%r), or act-fast unblock)",
                    lease.name,
                    lease.position,
                    lease.error,
                    lease.name,
                )
                if "blocked" in observers.kinds:
                    failures = max(1, lease.failures)
                    observers.tell("blocked", Blocked(lease.name, lease.position, failures, lease.error))
            if lease.done is not None and "acked" in observers.kinds:
                observers.tell("acked", Acked(lease.name, lease.done, lease.handled))
