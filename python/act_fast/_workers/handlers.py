"""Reactions as a cycle runs them: with the app they are given, and all that it takes to make their events."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import inspect

from act_fast._checks import arguments
from act_fast._checks.moments import microseconds_of
from act_fast._checks.own_values import may_change
from act_fast._events.committed import Committed
from act_fast._reactions.catalog import Catalog
from act_fast._reactions.reaction import Defer, Reaction
from act_fast._workers.host import Host
from act_fast.errors import NonRetryableError

__all__ = ["Step", "Steps"]


class Step:
    """One reaction, ready to be called.

    Attributes:
        reaction: as it was declared.
        number: the one that leases speak of.
        call: takes an event, or the list of events of a batch.
        asynchronous: whether what it gives has to be awaited.
        apart: whether Ctrl-C must not stop it halfway.
        due_us: when an event may be handled, in µs since 1970; None: at once.
        names: the stored names of its events.
    """

    __slots__ = ("apart", "asynchronous", "batch", "call", "due_us", "names", "number", "reaction")

    def __init__(self, reaction: Reaction, number: int, host: Host, names: Iterable[str]) -> None:
        self.reaction = reaction
        self.number = number
        self.names = frozenset(names)
        self.asynchronous = reaction.asynchronous
        self.apart = getattr(reaction.handler, "runs_apart", False)
        self.batch = reaction.batch
        self.call = _call(reaction, host)
        self.due_us = None if reaction.defer is None else _due(reaction.place, reaction.defer)


class Steps:
    """The reactions of a catalog for one host, by their numbers.

    Attributes:
        decoders: what decodes an event, by its stored name.
        values: the personal values of a stored event.
        takers: the numbers of the reactions that take an event, by its stored name.
        some_async: whether any is asynchronous.
        some_apart: whether any must not be stopped halfway.
        deferring: the numbers of those that defer.
        some_batch: whether any takes batches.
        debug: whether a handler that returns something is refused.
    """

    def __init__(self, catalog: Catalog, host: Host, debug: bool = False) -> None:
        self.catalog = catalog
        self.host = host
        self.debug = debug
        self.all = [
            Step(reaction, number, host, spec[1])
            for number, (reaction, spec) in enumerate(zip(catalog.reactions, catalog.specs, strict=True))
        ]
        self.decoders = catalog.codec.decoders
        self._classes = catalog.codec.classes
        self.values = catalog.codec.values
        self._flat: dict[str, bool] = {}
        self.takers: dict[str, set[int]] = {}
        for number, step in enumerate(self.all):
            for name in step.names:
                self.takers.setdefault(name, set()).add(number)
        self.some_async = any(step.asynchronous for step in self.all)
        self.some_apart = any(step.apart for step in self.all)
        self.deferring = frozenset(step.number for step in self.all if step.due_us)
        self.some_batch = any(step.batch for step in self.all)

    def is_flat(self, name: str) -> bool:
        """Whether nothing in an event of this stored name can change, so that it may be shared."""
        flat = self._flat.get(name)
        if flat is None:
            flat = self._flat[name] = not may_change(inspect.type_info(self._classes[name]))
        return flat


def _call(reaction: Reaction, host: Host) -> Callable[[Any], Any]:
    handler = reaction.handler
    if not reaction.takes_app:
        return handler
    app = host.async_app if reaction.asynchronous else host.app
    return lambda event: handler(event, app)


def _due(place: str, defer: Defer) -> Callable[[Committed[Any]], int]:
    def due_us(event: Committed[Any]) -> int:
        try:
            when = _later(event.created, defer) if isinstance(defer, timedelta) else defer(event)
        except (GeneratorExit, StopIteration) as error:  # mean something else to the generator that this is called in
            raise RuntimeError(f"defer= of {place} raised {type(error).__name__}") from error
        if not isinstance(when, datetime) or when.utcoffset() is None:
            raise NonRetryableError(f"defer= of {place} returned {when!r}; it must return a timezone-aware datetime")
        return min(microseconds_of(when), arguments.DUE_MAX_MS * 1000)

    return due_us


def _later(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
