"""Handling: the events of one target in order, each by all its reactions, until the first that fails."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, Final, TypeAlias

from act_fast._checks.error_text import error_text
from act_fast._checks.moments import EPOCH, machine_us, moment
from act_fast._checks.plain_code import called, discard, is_failure, is_unrun
from act_fast._events.committed import Committed
from act_fast._events.context import Reacting, ambient
from act_fast._events.event import Event
from act_fast._events.gone import GONE
from act_fast._events.meta import NO_META, Actor, Meta, decode_meta, meta_again
from act_fast._events.sealing import without_personal
from act_fast._reactions.partial_batch import Partly
from act_fast._rows import Row
from act_fast._runtime.backoff import Backoff
from act_fast._runtime.logger import log
from act_fast._runtime.observers import Observers
from act_fast._workers.handlers import Step, Steps
from act_fast._workers.lease import Lease
from act_fast.errors import NonRetryableError, RetryAfterError
from act_fast.stores.reaction_port import NOT_BEGUN

__all__ = ["Handling", "Waiting"]

Waiting: TypeAlias = Generator[tuple[Step, Any], Any, None]
"""Gives what somebody else has to call, or to await, and takes what came of it."""

_clock: Final = time.monotonic
_NOBODY: Final[set[int]] = set()
_name: Final = itemgetter(3)
_data: Final = itemgetter(5)
_RETRY_AFTER_MAX_S: Final = 366 * 24 * 3600.0
_BUSY_BACKOFF: Final = Backoff(first=0.01, factor=2.0, longest=5.0)


class Handling:
    """What it takes to handle the leases of a cycle.

    Attributes:
        steps: the reactions.
        actor: in whose name handlers do what they do.
        observers: who is told of what fails.
        now_us: what time it is, in µs since 1970.
    """

    def __init__(
        self, steps: Steps, actor: Actor | None, observers: Observers, now_us: Callable[[], int] = machine_us
    ) -> None:
        self.steps = steps
        self.actor = actor
        self.observers = observers
        self.now_us = now_us
        # What the events of one commit share: its time, and of its meta what cannot change.
        self._created: tuple[int, datetime] = (0, EPOCH)
        self._meta: tuple[bytes, Meta] = (b"", NO_META)

    def needs_loop(self, lease: Lease) -> bool:
        """Whether some handler of a lease is `async def`."""
        steps = self.steps
        return steps.some_async and any(steps.all[each].asynchronous for at in lease.reactions for each in at)

    def runs_apart(self, lease: Lease) -> bool:
        """Whether some handler of a lease is one that Ctrl-C must not stop halfway."""
        steps = self.steps
        return steps.some_apart and any(steps.all[each].apart for at in lease.reactions for each in at)

    def run(self, lease: Lease) -> None:
        """Handle a lease here and now. Whatever its handlers raise is in the lease afterwards."""
        before, began = ambient.get(), _clock()
        try:
            for _ in self.handle(lease, False):
                raise AssertionError("a handler that is awaited needs an event loop")
        finally:
            lease.took = _clock() - began
            ambient.set(before)

    async def run_async(self, lease: Lease, parent: "asyncio.Task[Any] | None") -> None:
        """Handle a lease in a task of its own; handlers that are `def` are called on threads meanwhile.

        Args:
            lease: what is handled.
            parent: the task that waits for this one. It is cancelled when this is to end; where this one alone is, a
                handler has done it.
        """
        began = _clock()
        try:
            await self._run_async(lease, parent)
        finally:
            lease.took = _clock() - began

    async def _run_async(self, lease: Lease, parent: "asyncio.Task[Any] | None") -> None:
        waiting = self.handle(lease, True)
        task = asyncio.current_task()
        assert task is not None
        found: Any = None
        failed: BaseException | None = None
        while True:
            try:
                step, event = waiting.send(found) if failed is None else waiting.throw(Raised(failed))
            except StopIteration:
                return
            found = failed = None
            try:
                if step.asynchronous:
                    found = await step.call(event)
                else:
                    found, failed = await asyncio.to_thread(_outcome, step.call, event)
            except BaseException as error:
                if not is_failure(error) or (parent is not None and parent.cancelling()):
                    raise
                failed = error
            if failed is None and task.cancelling() and not (parent is not None and parent.cancelling()):
                failed = asyncio.CancelledError("the handler cancelled the task that it runs in")

    def handle(self, lease: Lease, on_loop: bool) -> Waiting:
        """The work itself. What it yields is to be called, or awaited, by whoever drives it."""
        if not self._all_taken(lease):
            self._leave_out(lease)
        if not lease.rows or self._exhausted(lease):
            return
        if self.steps.some_batch and (step := self._one_batch(lease)) is not None:
            yield from self._batch(lease, step, on_loop)
        else:
            yield from self._each(lease, on_loop)

    def _all_taken(self, lease: Lease) -> bool:
        """Whether each reaction of a lease takes each of its events, as far as can be told at once."""
        # No bytecode is run for an event, and no data is hashed.
        if any(gone in map(_data, lease.rows) for gone in GONE):
            return False
        takers, first = self.steps.takers, lease.reactions[0]
        numbers = (first,) if _all_are(lease.reactions, first) else set(map(tuple, lease.reactions))
        return all(
            takers.get(name, _NOBODY).issuperset(each) for name in set(map(_name, lease.rows)) for each in numbers
        )

    def _leave_out(self, lease: Lease) -> None:
        """Leave out what was found for an older version of the code, and what was pruned or redacted since."""
        takers, last = self.steps.takers, lease.rows[-1][0]
        taken = [
            (row, [number for number in numbers if number in takers.get(row[3], _NOBODY)])
            for row, numbers in zip(lease.rows, lease.reactions, strict=True)
        ]
        kept = [each for each in taken if each[1] and each[0][5] not in GONE]
        if not kept:
            lease.done = last
        if not kept or kept[0][0] is not lease.rows[0]:
            lease.start_over()
        lease.rows, lease.reactions = [row for row, _ in kept], [numbers for _, numbers in kept]

    def _each(self, lease: Lease, on_loop: bool, start: int = 0) -> Waiting:
        steps, deferring, actor = self.steps.all, self.steps.deferring, self.actor
        past = lease.past
        for row, numbers in islice(zip(lease.rows, lease.reactions, strict=True), start, None):
            position = row[0]
            step = steps[numbers[0]]
            try:
                event = self._committed(row)
            except BaseException as error:
                self._undecodable(lease, position, _meant(error, False))
                return
            try:
                if deferring and not deferring.isdisjoint(numbers) and self._deferred(lease, numbers, row, event):
                    return
                ambient.set(Reacting(actor, event, lease))
                for number in numbers:
                    if number != numbers[0]:
                        event = self._again(row, event)
                    step = steps[number]
                    if past is not None:
                        lease.reaction, lease.reaction_name = number, step.reaction.name
                    argument: Any = [event] if step.batch else event
                    found = (yield step, argument) if on_loop else step.call(argument)
                    if found is not None and (is_unrun(found) or self.steps.debug):
                        _refuse(step, found)
            except BaseException as error:
                meant = _meant(error, on_loop)
                if isinstance(meant, Partly) and step.batch:
                    handled = self._handled(lease, [event], meant)
                    self._take(lease, step, [event], handled, meant)
                    if handled:
                        continue
                else:
                    self._failed(lease, step, position, meant)
                return
            lease.done = position
            lease.handled += 1
            if _clock() > lease.until:
                return

    def _batch(self, lease: Lease, step: Step, on_loop: bool) -> Waiting:
        """All events at once; whoever of them is to blame for a failure is found by trying them one by one."""
        events: list[Committed[Any]] = []
        for row in lease.rows:
            try:
                event = self._committed(row)
            except BaseException as error:
                self._undecodable(lease, row[0], _meant(error, False))
                break
            try:
                if step.due_us and self._deferred(lease, lease.reactions[0], row, event):
                    break
            except BaseException as error:
                self._failed(lease, step, row[0], _meant(error, False))
                break
            events.append(event)
        if not events:
            return
        lease.reaction, lease.reaction_name = lease.reactions[0][0], step.reaction.name
        ambient.set(Reacting(self.actor, events[0], lease))
        try:
            found = (yield step, events) if on_loop else step.call(events)
            if found is not None and (is_unrun(found) or self.steps.debug):
                _refuse(step, found)
        except BaseException as error:
            meant = _meant(error, on_loop)
            partly = meant if isinstance(meant, Partly) else Partly(None, meant)
            handled = self._handled(lease, events, partly)
            if partly.alone or len(events) - handled < 2 or not self._is_last(lease, step, handled, partly.error):
                self._take(lease, step, events, handled, partly)
            else:  # a failure for good is that of one event, not of its neighbours
                yield from self._each(lease, on_loop, handled)
        else:
            lease.done, lease.handled = events[-1].position, len(events)

    def _handled(self, lease: Lease, events: list[Committed[Any]], partly: Partly) -> int:
        """Note which events a reaction says that it has handled; how many they are."""
        handled = 0 if partly.done is None else sum(event.position <= partly.done for event in events)
        if handled:
            lease.done = events[handled - 1].position
            lease.handled += handled
        return handled

    def _take(self, lease: Lease, step: Step, events: list[Committed[Any]], handled: int, partly: Partly) -> None:
        """Note why a reaction has not handled all of its events, if so."""
        if handled == len(events):
            return
        if not partly.busy:
            self._failed(lease, step, events[handled].position, partly.error, partly.missing)
            return
        lease.then, lease.error = "defer", f"waiting: {self._said(lease, partly.error)}"
        lease.due_ms = self.now_us() // 1000 + int(_BUSY_BACKOFF.wait(partly.busy) * 1000)
        if partly.busy == 1:
            log.warning("%r waits until it can go on: %s", lease.name, self._said(lease, partly.error))

    def _committed(self, row: Row) -> Committed[Any]:
        position, stream, version, name, created_us, data, meta, tags = row
        created = self._created
        if created_us != created[0]:
            self._created = created = (created_us, moment(created_us))
        why = self._why(meta) if meta else NO_META
        return Committed(self.steps.decoders[name](data), name, stream, version, position, created[1], why, tags)

    def _why(self, meta: bytes) -> Meta:
        known = self._meta
        if meta is known[0]:
            return meta_again(meta, known[1])
        self._meta = known = (meta, decode_meta(meta))
        return known[1]

    def _again(self, row: Row, event: Committed[Any]) -> Committed[Any]:
        """The same event for the next one who is given it: shares nothing that can change."""
        name, meta = row[3], row[6]
        data = event.data if self.steps.is_flat(name) else self.steps.decoders[name](row[5])
        why = meta_again(meta, event.meta) if meta else NO_META
        return Committed(data, name, event.stream, event.version, event.position, event.created, why, event.tags)

    def _one_batch(self, lease: Lease) -> Step | None:
        """The reaction that takes all events of a lease as a batch; None when they are to be handled one by one."""
        first = lease.reactions[0]
        step = self.steps.all[first[0]]
        alone = step.batch and len(first) == 1 and len(lease.rows) > 1
        return step if alone and _all_are(lease.reactions, first) else None

    def _exhausted(self, lease: Lease) -> bool:
        """Whether all attempts that are allowed have been begun, and the last of them has ended with the lease lost."""
        if not lease.lost:
            return False
        position = lease.rows[0][0]
        lost = 0
        for number in lease.reactions[0]:
            reaction, failures = self.steps.all[number].reaction, lease.failures_of(number, position)
            if not reaction.block or failures <= reaction.retries:
                return False
            lost = max(lost, failures)
        before = lease.past[1] if lease.past else None
        lease.then, lease.position, lease.failures, lease.blamed = "block", position, lost, NOT_BEGUN
        if before is None:
            begun = f"{lost} attempts were started and none has finished"
            lease.error = f"LeaseLost: {begun}: the process died, or could not renew its lease"
        else:
            lease.error = f"{before} (then the process died, or could not renew its lease; {lost} attempts in all)"
        return True

    def _deferred(self, lease: Lease, numbers: list[int], row: Row, event: Committed[Any]) -> bool:
        own = [self.steps.all[number].due_us for number in numbers]
        due_us = max((due(self._again(row, event)) for due in own if due), default=0)
        if due_us <= self.now_us():
            return False
        lease.then, lease.due_ms = "defer", -(-due_us // 1000)
        return True

    def _undecodable(self, lease: Lease, position: int, error: BaseException) -> None:
        lease.then, lease.position, lease.error = "block", position, f"the event does not decode: {error_text(error)}"
        self.observers.fail_delivery(
            f"decoding the event at position {position} for {lease.name!r}",
            error,
            target=lease.name,
            then="give new fields a default, or write an upcaster",
        )

    def _said(self, lease: Lease, error: BaseException) -> str:
        """What a handler has raised, as it may be stored: without personal values of the events it was given."""
        values: list[Any] = []
        for row in lease.rows:
            with suppress(Exception):  # it did not decode, and then the error does not quote it
                values.extend(self.steps.values(row[3], row[5]))
        return without_personal(error_text(error), values)

    def _is_last(self, lease: Lease, step: Step, at: int, error: BaseException) -> bool:
        """Whether the event at an index is blocked if it fails so."""
        reaction, attempts = step.reaction, lease.failures_of(step.number, lease.rows[at][0]) + 1
        return reaction.block and (attempts > reaction.retries or isinstance(error, NonRetryableError))

    def _failed(
        self, lease: Lease, step: Step, position: int, error: BaseException, missing: int | None = None
    ) -> None:
        reaction, attempts = step.reaction, lease.failures_of(step.number, position) + 1
        said = self._said(lease, error)
        lease.position, lease.error = position, said
        lease.blamed, lease.failures = step.number, attempts
        if missing is not None:
            lease.error = f"the event at position {missing}, which is missing and comes first: {lease.error}"
        if reaction.block and (attempts > reaction.retries or isinstance(error, NonRetryableError)):
            lease.then = "block"
        else:
            lease.then = "retry"
            lease.due_ms = self.now_us() // 1000 + _wait_ms(reaction.backoff.wait(attempts), error)
        row = next(each for each in lease.rows if each[0] == position)
        where = f"that is version {row[2]} of stream {row[1]!r}, attempt {attempts} of {reaction.retries + 1}"
        self.observers.fail_delivery(
            f"reaction {reaction.name!r} on {lease.name!r} at position {position}",
            error,
            target=lease.name,
            then=where if lease.then == "block" else f"{where}; the next one is {_when(lease.due_ms, self.now_us())}",
            said=None if said == error_text(error) else said,
        )


def _all_are(reactions: list[list[int]], one: list[int]) -> bool:
    return reactions.count(one) == len(reactions)


def _wait_ms(backoff: float, error: BaseException) -> int:
    """How long to wait before the next attempt; longer than the backoff where the handler knows better."""
    asked = error.seconds if isinstance(error, RetryAfterError) else 0.0
    known = isinstance(asked, int | float) and asked > backoff  # which no NaN is
    return int((min(asked, _RETRY_AFTER_MAX_S) if known else backoff) * 1000)


def _when(due_ms: int, now_us: int) -> str:
    seconds = max(0.0, due_ms / 1000 - now_us / 1e6)
    return f"in {seconds:,.1f} seconds"


class Raised(Exception):
    """What came out of a handler that somebody else has called; its own class may mean something to a generator."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _meant(error: BaseException, on_loop: bool) -> BaseException:
    """What a handler has raised.

    Raises:
        BaseException: it was no handler: Ctrl-C, or the generator that handles a lease is being closed.
    """
    if isinstance(error, Raised):
        return error.error
    if not is_failure(error) or (on_loop and isinstance(error, GeneratorExit)):
        raise error
    return error


def _outcome(call: Callable[[Any], Any], event: Any) -> tuple[Any, BaseException | None]:
    """What a call on a thread gave or raised: a future takes no `StopIteration`, and would be waited for forever."""
    try:
        return call(event), None
    except BaseException as error:
        return None, error


def _refuse(step: Step, found: Any) -> None:
    if not is_unrun(found):
        event = isinstance(found, Event) or (
            isinstance(found, list | tuple) and any(isinstance(e, Event) for e in found)
        )
        fix = "nothing appends it; run an action through the app" if event else "return nothing"
        raise NonRetryableError(
            f"{step.reaction.place} returned {called(found)}, and what a handler returns is dropped; {fix}"
        )
    discard(found)
    fix = "its body has not run; take the `yield` out"
    if isinstance(found, map | filter):
        fix = "nothing of it has run; go through it with a `for`"
    elif asyncio.iscoroutine(found):
        fix = "await it" if step.asynchronous else "write it as `async def`"
    raise NonRetryableError(f"{step.reaction.place} returned {called(found)}; {fix}")
