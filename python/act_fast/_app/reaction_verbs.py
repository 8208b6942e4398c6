"""The verbs of reactions, as `Act` has them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from act_fast._checks import arguments
from act_fast._events.handling import ambient, handling
from act_fast._projections.projection import Projection
from act_fast._projections.source import Source
from act_fast._reactions.lane import Lane
from act_fast._reactions.on import Declares
from act_fast._reactions.reaction import Reaction
from act_fast._reactions.reports import Correlation, Drained, Ran, Settled
from act_fast._reactions.skipped import Skipped, operator, skip, skipped
from act_fast._reactions.targets import Cursor, Names, Target, cursors, selection, targets
from act_fast._rows import Progress
from act_fast._states.snapshot import Snapshot
from act_fast._timers.names import is_own
from act_fast._workers.host import Host
from act_fast._workers.runner import Program
from act_fast.errors import ValidationError
from act_fast.stores.time_travel import cut_at

if TYPE_CHECKING:  # an app that only acts and reads has no use for what works
    from act_fast._workers.cycle import Cycle
    from act_fast._workers.worker import Worker

__all__ = ["CONCURRENCY", "Reacts", "Targeted"]

CONCURRENCY: Final = 8


class Targeted(Protocol):
    """Something that runs under one target, such as a projection."""

    @property
    def target(self) -> str:
        """The name of the target."""
        ...


class Reacts(Declares):
    """The verbs of an app that has a `Program`."""

    _program: Program

    def _declare(self, reaction: Reaction) -> None:
        self._program.declare(reaction)

    @property
    def reactions(self) -> Sequence[Reaction]:
        """The reactions of the app, including those of its components."""
        return tuple(each for each in self._program.catalog().reactions if not is_own(each.name))

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """The lanes of the app, by name."""
        return self._program.catalog().lanes

    def correlate(self, limit: int | None = None) -> Correlation:
        """Find the targets that new events concern, and record that they have work. Handles nothing.

        Args:
            limit: look at no more than this many events; None: at all of them.
        """
        limit = arguments.optional_count("limit", limit)
        self._take_timers(False)
        return self._program.apart(lambda: self._program.correlate(limit))

    def drain(
        self, limit: int | None = None, *, lanes: Sequence[str] | None = None, concurrency: int = CONCURRENCY
    ) -> Drained:
        """Run one cycle: lease targets that have work, handle their next events, and acknowledge them together.

        Args:
            limit: lease no more than this many targets; None: as many as their lanes allow.
            lanes: only targets of these lanes.
            concurrency: how many targets to handle at the same time.
        """
        return self._drain(Host(self._act()), limit, lanes, concurrency)

    def settle(
        self,
        passes: int | None = None,
        *,
        lanes: Sequence[str] | None = None,
        concurrency: int = CONCURRENCY,
        raises: bool | None = None,
    ) -> Settled:
        """Correlate and drain until there is nothing left to do here and now.

        Targets that are blocked, deferred, waiting for their next retry, or leased by another worker stay as they are.

        Args:
            passes: stop after at most this many cycles, in case reactions trigger each other forever.
            lanes: drain only these lanes.
            concurrency: how many targets to handle at the same time.
            raises: whether to raise, once everything has settled, the first error of a handler, a `to=` function or a
                decoder that no later attempt made good. Meant for tests, and the default of the `act_app` fixture;
                otherwise failures are logged, passed to observers and retried, and `settle` returns.
        """
        return self._settle(Host(self._act()), passes, lanes, concurrency, raises)

    def run(self, *, lanes: Sequence[str] | None = None, concurrency: int = CONCURRENCY, grace: float = 10.0) -> Ran:
        """Work until `stop` or Ctrl-C: correlate and drain whenever there is something to do, and sleep otherwise.

        Any number of processes may run at the same time; they share the work. Each lane is worked on separately.

        Args:
            lanes: work on these lanes only.
            concurrency: how many targets of a lane to handle at the same time.
            grace: how many seconds to wait, once stopped, for running handlers to finish.
        """
        from act_fast._workers.report_start import report_start

        worker = self._worker(Host(self._act()), lanes, concurrency, grace)
        report_start(self._program)
        return worker.run()

    def stop(self) -> None:
        """Stop every `run` of this app gracefully. If nothing of the app is running, the next `run` ends at once.

        A `settle` or a `drain` in progress ends by itself: a stop during it does not affect a later `run`, and is
        reported in `settled.stopped`. You may call this from a signal handler, and from a handler.
        """
        self._program.stop()

    def wait_for(self, moment: int | Snapshot[Any], target: str | Targeted, timeout: float | None = None) -> Target:
        """Sleep until a target has processed everything up to a position, or up to where a snapshot stands.

        This covers everything that may reach the target: a reaction whose `to=` function might name it counts too, and
        a target that no event concerns is done as soon as that is known.

        Args:
            moment: the position; or a snapshot, as `do` returns it, to read what you just wrote.
            target: the target's name, or a projection.
            timeout: seconds; None waits forever.

        Raises:
            ValidationError: no reaction could ever run under this name.
            TimeoutError: the target has not come that far; the message says how far it has come, and why.
        """
        position = moment.position if isinstance(moment, Snapshot) else arguments.count("position", moment)
        name = arguments.text("target", target if isinstance(target, str) else target.target)
        if not name:
            raise ValidationError("the target's name is empty; wait_for takes a target's name, or a projection")
        seconds = None if timeout is None else arguments.milliseconds("timeout", timeout) / 1000
        from act_fast._workers.wait_for import wait_for

        return wait_for(self._program, position, name, seconds)

    def targets(
        self,
        names: Names | None = None,
        *,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Target]:
        """The targets that meet every condition, with everything known about each.

        They come in the order in which they were created, or in the order you name them.

        Args:
            names: only these.
            pattern: only those whose names match this regular expression anywhere.
            lane: only those of this lane.
            blocked: True: only blocked ones; False: only those that are not.
            after: only those created after this one; for paging, pass the last of the page before.
            limit: at most this many.

        Raises:
            ValidationError: there is no target of such a name.
        """
        return targets(self._program.port(), names, pattern, lane, blocked, after, limit)

    def blocked(self) -> Iterator[Target]:
        """The targets that are blocked, one after the other, as `targets` gives them.

        An iterator is true even if there are none: ask `any(app.blocked())`, or make a list of it.
        """
        return self.targets(blocked=True)

    def cursors(self) -> list[Cursor]:
        """How far each reaction of the store has been correlated."""
        return [each for each in cursors(self._program.port()) if not is_own(each.reaction)]

    def reset(
        self,
        names: Names | None = None,
        *,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        to: int | datetime | None = None,
    ) -> int:
        """Let targets do all their work again, starting from the first event. Blocks, retries and leases end.

        Choose the targets as in `targets`, but here you must choose; the same goes for `block`, `defer` and
        `prioritize`. Returns how many there were.

        Handlers receive again what they have received before, and repeat all they do: `app.replaying` tells them.
        Events that were skipped come again too.

        Args:
            names: as for `targets`.
            pattern: as for `targets`.
            lane: as for `targets`.
            blocked: as for `targets`.
            to: start after this position, or after everything that had happened at this time; None: with the first
                event. A target that has not come that far continues where it is.
        """
        chosen = selection("reset", names, pattern, lane, otherwise_all=blocked is not None)
        position = 0 if to is None else cut_at(self._program.store, to, "to")
        return chosen.apply(self._program.port().reset, blocked=blocked, to=position)

    def skip(
        self, target: str | Targeted, position: int | None = None, *, reaction: str | None = None, reason: str
    ) -> Skipped:
        """Step over one event of one reaction, for an event that no code will ever handle, and keep a record of it.

        The target continues with the next event; if this event blocked it, the block ends. You can only skip the event
        that the reaction comes to next. The event stays in the log, and a `reset` delivers it again.

        Args:
            target: the target's name, or a projection.
            position: of the event; None: the next one.
            reaction: the name of the reaction; None: the only one that it can be, or the one that has failed.
            reason: why. It is kept, along with the time and the actor of `app.context`, or the user if there is none.

        Raises:
            ValidationError: it is not the next event, or several could be meant.
        """
        name = target if isinstance(target, str) else target.target
        here = ambient.get()
        by = here.actor.id if here is not None and here.actor is not None else operator()
        return skip(self._program.port(), self._program.store, name, position, reaction, reason, by)

    def skipped(self, target: str | Targeted | None = None) -> Iterator[Skipped]:
        """What was skipped, the oldest first; for one target, or for all."""
        name = target if target is None or isinstance(target, str) else target.target
        return skipped(self._program.port(), self._program.store, name)

    @property
    def replaying(self) -> bool:
        """In a handler: whether its reaction has processed this event before.

        That is so after a `reset`, and in a projection that is being rebuilt. An event that was skipped does not count
        as processed.
        """
        here = handling()
        if here is None:
            return False
        handled = ambient.get().handled
        return here.replays(handled.name, handled.position)

    def forget_reaction(self, reaction: str) -> bool:
        """Forget a reaction that no program has any more, such as one that was removed or renamed.

        Its targets have nothing more to do for it; those that had no other reaction are removed. If a program has the
        reaction again one day, it is a new one.

        Args:
            reaction: its name.

        Returns:
            whether it was known.

        Raises:
            ValidationError: this app has it.
        """
        name = arguments.text("reaction", reaction)
        if any(each.name == name for each in self.reactions):
            raise ValidationError(f"this app has the reaction {name!r}; remove it before you forget it")
        return self._program.port().forget(name)

    def rebuild(self, projection: Projection | str, *, resume: bool = True, progress: Progress | None = None) -> int:
        """Replay a projection's events into a fresh copy beside the live one, then put the copy in its place.

        The live one keeps working meanwhile, and no other reaction runs. A projection that was blocked continues
        afterwards.

        Args:
            projection: one that the app has, or its name.
            resume: continue where a rebuild was interrupted, if its copy is a lasting one; otherwise start over, which
                is necessary after a change of the code.
            progress: called with the position reached, and the position to reach.

        Returns:
            how many events were replayed.

        Raises:
            ValidationError: the app has no such projection, or it cannot be rebuilt.

        If a method of the projection raises, that exception is raised, and the live one stays as it was.
        """
        from act_fast._projections.rebuild import rebuild

        resume = arguments.flag("resume", resume)
        app, components = self._act(), self._components
        return self._program.apart(lambda: rebuild(app, components, projection, resume, progress))

    def unblock(self, names: Names | None = None, *, pattern: str | None = None, lane: str | None = None) -> int:
        """Let blocked targets (all, unless you name some) continue at the event that failed, with a fresh budget."""
        return selection("unblock", names, pattern, lane, otherwise_all=True).apply(self._program.port().unblock)

    def block(
        self,
        names: Names | None = None,
        *,
        pattern: str | None = None,
        lane: str | None = None,
        error: str = "blocked by hand",
    ) -> int:
        """Stop targets until they are unblocked. A worker that holds one loses it.

        Args:
            names: as for `reset`.
            pattern: as for `reset`.
            lane: as for `reset`.
            error: why; `targets` and `why` show it.
        """
        chosen = selection("block", names, pattern, lane)
        return chosen.apply(self._program.port().block, arguments.text("error", error))

    def defer(
        self, names: Names | None = None, *, until: datetime, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """Pause targets until a time. To end a pause, pass a time in the past.

        Args:
            names: as for `reset`.
            until: a timezone-aware datetime; `datetime.max` in UTC to pause until further notice.
            pattern: as for `reset`.
            lane: as for `reset`.
        """
        until_ms = arguments.due_milliseconds("until", until)
        return selection("defer", names, pattern, lane).apply(self._program.port().defer, until_ms)

    def prioritize(
        self, names: Names | None = None, priority: int = 0, *, pattern: str | None = None, lane: str | None = None
    ) -> int:
        """Set the priority of targets by hand; returns how many changed.

        Args:
            names: as for `reset`.
            priority: an integer of 32 bits; the higher comes first.
            pattern: as for `reset`.
            lane: as for `reset`.
        """
        if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) >= 2**31:
            raise ValidationError(f"priority must be a whole number of 32 bits, not {priority!r}")
        return selection("prioritize", names, pattern, lane).apply(self._program.port().prioritize, priority)

    def _act(self) -> Source:
        raise NotImplementedError

    def _take_timers(self, at_work: bool) -> None:
        raise NotImplementedError

    @property
    def _components(self) -> Sequence[object]:
        raise NotImplementedError

    def _drain(self, host: Host, limit: int | None, lanes: Sequence[str] | None, concurrency: int) -> Drained:
        limit = arguments.optional_count("limit", limit)
        self._take_timers(False)
        return self._program.apart(lambda: self._drain_once(self._cycle(host, lanes, concurrency), limit))

    def _drain_once(self, cycle: "Cycle", limit: int | None) -> Drained:
        under_way = self._program.begin_pass()
        try:
            drained = cycle.once(limit)
            if drained.leased:
                cycle.let_go()
            return drained
        finally:
            self._program.end_pass(under_way)

    def _settle(
        self,
        host: Host,
        passes: int | None,
        lanes: Sequence[str] | None,
        concurrency: int,
        raises: bool | None = None,
    ) -> Settled:
        passes = arguments.optional_count("passes", passes)
        named = None if lanes is None else list(lanes)
        raising = self._program.settle_raises if raises is None else arguments.flag("raises", raises)
        from act_fast._workers.settle import settle, settle_or_raise

        self._take_timers(False)
        verb = settle_or_raise if raising else settle
        return self._program.apart(lambda: verb(self._cycle(host, lanes, concurrency), passes, named))

    def _worker(self, host: Host, lanes: Sequence[str] | None, concurrency: int, grace: float) -> "Worker":
        from act_fast._workers.worker import Worker

        seconds = arguments.milliseconds("grace", grace) / 1000
        crew = _crew_size(concurrency)
        self._take_timers(True)
        named = None if lanes is None else list(lanes)
        return Worker(self._program, host, lambda: self._lanes(lanes), crew, seconds, named)

    def _cycle(self, host: Host, lanes: Sequence[str] | None, concurrency: int) -> "Cycle":
        from act_fast._workers.cycle import Cycle
        from act_fast._workers.handler_pool import Crew

        chosen = None if lanes is None else self._lanes(lanes)
        crew = Crew(_crew_size(concurrency), self._program.daemons, lambda: self._program.loop(host))
        return Cycle(self._program, host, chosen, crew)

    def _lanes(self, names: Sequence[str] | None) -> Mapping[str, Lane]:
        lanes = self._program.catalog().lanes
        if names is None:
            return lanes
        for name in arguments.texts("lanes", names):
            if name not in lanes:
                raise ValidationError(f"there is no lane {name!r}; there is {', '.join(map(repr, lanes))}")
        return {name: lanes[name] for name in names}


def _crew_size(concurrency: int) -> int:
    return max(1, arguments.count("concurrency", concurrency))
