"""Spans and counters for OpenTelemetry, where its API package is installed; nothing otherwise."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from act_fast._action import Action
from act_fast._engine import Engine
from act_fast._meta import Actor
from act_fast._snapshot import Snapshot
from act_fast._state import State

__all__ = ["engine_class"]

S = TypeVar("S", bound=State)


class TracedEngine(Engine):
    """An engine that makes a span of each `do`, and counts what is done, appended and replayed."""

    def do(
        self,
        action: Action[S, Any, Any],
        stream: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        actor: Actor | None,
        expected: int | None,
    ) -> Snapshot[S]:
        """The same, in a span named after the action, with the stream, its version and the numbers of events."""
        place = getattr(action, "place", "unknown")
        instruments = _instruments()
        outcome = "ok"
        with instruments.tracer.start_as_current_span(place) as span:
            span.set_attribute("act_fast.stream", str(stream))
            try:
                snapshot = super().do(action, stream, args, kwargs, actor, expected)
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                instruments.actions.add(1, {"act_fast.action": place, "act_fast.outcome": outcome})
            span.set_attribute("act_fast.version", snapshot.version)
            span.set_attribute("act_fast.replayed", snapshot.replayed)
        instruments.replayed.add(snapshot.replayed, {"act_fast.action": place})
        instruments.appended.add(snapshot.appended, {"act_fast.action": place})
        return snapshot


class Instruments:
    """The tracer and the counters."""

    def __init__(self) -> None:
        # Imported by name, since the package may not be there.
        self.tracer: Any = import_module("opentelemetry.trace").get_tracer("act_fast")
        meter: Any = import_module("opentelemetry.metrics").get_meter("act_fast")
        self.actions: Any = meter.create_counter("act_fast.actions", "1", "actions done, by outcome")
        self.appended: Any = meter.create_counter("act_fast.events.appended", "1", "events appended by actions")
        self.replayed: Any = meter.create_counter("act_fast.events.replayed", "1", "events folded to load a state")


def engine_class() -> type[Engine]:
    """The engine to use: the plain one, unless OpenTelemetry is installed."""
    return TracedEngine if find_spec("opentelemetry") and find_spec("opentelemetry.trace") else Engine


@cache
def _instruments() -> Instruments:
    return Instruments()
