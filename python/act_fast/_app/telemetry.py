"""Spans, counters and durations for OpenTelemetry, where its API package is installed; nothing otherwise."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, TypeVar

from act_fast._app.pipeline import Engine
from act_fast._events.meta import Actor
from act_fast._runtime.observers import Done
from act_fast._states.action import Action
from act_fast._states.snapshot import Snapshot
from act_fast._states.state import State

__all__ = ["engine_class"]

S = TypeVar("S", bound=State)
T = TypeVar("T")

_LOOK_EVERY_S: Final = 1.0


class TracedEngine(Engine):
    """An engine that makes spans and counts what is done, appended and replayed, if anybody listens."""

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
        """The same, in a span named after the action, with the stream, its version and the numbers of events."""
        instruments = _instruments()
        if not instruments.listened_to():
            return Engine.do(self, action, stream, args, kwargs, actor, expected, key)
        place = getattr(action, "place", "unknown")
        with _span(instruments, place) as span:
            span.set_attribute("act_fast.stream", str(stream))
            snapshot = super().do(action, stream, args, kwargs, actor, expected, key)
            span.set_attribute("act_fast.version", snapshot.version)
            _count(instruments, place, span, snapshot)
        return snapshot

    def traced(self, name: str, about: Sequence[str], work: Callable[[], T], done: Callable[[T], Done]) -> T:
        """The same, in a span, with what it is about, the position of its last event and the numbers of events."""
        instruments = _instruments()
        if not instruments.listened_to():
            return work()
        with _span(instruments, name) as span:
            span.set_attribute("act_fast.about", list(dict.fromkeys(about)))
            found = work()
            told = done(found)
            span.set_attribute("act_fast.position", told.position)
            _count(instruments, name, span, told)
        return found


@contextmanager
def _span(instruments: "Instruments", name: str) -> Iterator[Any]:
    """A span of work that is counted and timed, by its outcome."""
    outcome, began = "ok", time.perf_counter()
    with instruments.tracer.start_as_current_span(name) as span:
        try:
            yield span
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            done = {"act_fast.action": name, "act_fast.outcome": outcome}
            instruments.actions.add(1, done)
            instruments.durations.record(time.perf_counter() - began, done)


def _count(instruments: "Instruments", name: str, span: Any, done: Done | Snapshot[Any]) -> None:
    """Tell how many events were folded and appended."""
    span.set_attribute("act_fast.replayed", done.replayed)
    if done.repeated:
        span.set_attribute("act_fast.repeated", True)
    instruments.replayed.add(done.replayed, {"act_fast.action": name})
    instruments.appended.add(0 if done.repeated else done.appended, {"act_fast.action": name})


class Instruments:
    """The tracer and the counters. The package is imported by name, since it may not be there."""

    def __init__(self) -> None:
        trace: Any = import_module("opentelemetry.trace")
        metrics: Any = import_module("opentelemetry.metrics")
        meter = metrics.get_meter("act_fast")
        self._tracer_provider: Callable[[], object] = trace.get_tracer_provider
        self._meter_provider: Callable[[], object] = metrics.get_meter_provider
        self._listened = False
        self._look_again_s = 0.0
        self.tracer: Any = trace.get_tracer("act_fast")
        self.actions: Any = meter.create_counter("act_fast.actions", "1", "actions done, by outcome")
        self.durations: Any = meter.create_histogram("act_fast.action.duration", "s", "time that an action takes")
        self.appended: Any = meter.create_counter("act_fast.events.appended", "1", "events appended by actions")
        self.replayed: Any = meter.create_counter("act_fast.events.replayed", "1", "events folded to load a state")

    def listened_to(self) -> bool:
        """Whether a provider was set: the API package alone, which comes along with much, makes spans for nobody.

        Once it was, it stays. Until then it is looked for once a second, since asking costs as much as half a `do`.
        """
        if not self._listened and time.monotonic() >= self._look_again_s:
            self._look_again_s = time.monotonic() + _LOOK_EVERY_S
            self._listened = _listens(self._tracer_provider()) or _listens(self._meter_provider())
        return self._listened


def engine_class() -> type[Engine]:
    """The engine to use: the plain one, unless OpenTelemetry is installed."""
    return TracedEngine if find_spec("opentelemetry") and find_spec("opentelemetry.trace") else Engine


def _listens(provider: object) -> bool:
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


@cache
def _instruments() -> Instruments:
    return Instruments()
