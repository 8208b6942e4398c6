"""Metrics of an app for OpenTelemetry: what an overview says, and what the app has counted in this process."""

import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from threading import Lock
from typing import Any, Final
from weakref import ref

import msgspec

from act_fast._app.act import Act
from act_fast._app.async_act import AsyncAct
from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import ActError, ValidationError
from act_fast.monitoring.counts import COUNTERS, PROPOSALS, counts_of, proposals_of
from act_fast.monitoring.kept import Kept
from act_fast.monitoring.overview import Overview, ReactionOverview, look
from act_fast.stores.values import Share, Shares

__all__ = ["instrument"]

_GAUGES: Final[dict[str, tuple[str, str, Callable[[Overview], float]]]] = {
    "act_fast.head": ("{event}", "position of the last event", lambda found: found.head),
    "act_fast.streams": ("{stream}", "streams that have events", lambda found: found.streams),
    "act_fast.store.size": ("By", "space that the store takes", lambda found: found.bytes),
    "act_fast.blocked": ("{target}", "targets that are blocked, each counted once", lambda found: found.blocked),
}
_OF_KEPT: Final[dict[str, tuple[str, str, Callable[[Kept], float | None]]]] = {
    "act_fast.archive.size": ("By", "space that the archived part takes", lambda kept: _of_archive(kept.shares)),
    "act_fast.pruned": ("{event}", "events that were pruned", lambda kept: kept.pruned),
    "act_fast.pruned.size": ("By", "data that pruned events had", lambda kept: kept.pruned_bytes),
    "act_fast.redacted": ("{event}", "events that were redacted", lambda kept: kept.redacted),
    "act_fast.sealed": ("{event}", "events of classes with sealed fields", lambda kept: kept.sealed),
    "act_fast.forgotten": ("{subject}", "subjects that were forgotten", lambda kept: kept.forgotten),
}
_OF_FORMS: Final[dict[str, tuple[str, str, Callable[[Share], float]]]] = {
    "act_fast.log.events": ("{event}", "events of the log, by the form of its files", lambda share: share.events),
    "act_fast.log.written": ("By", "bytes of the log as they were written", lambda share: share.written),
    "act_fast.log.size": ("By", "space that the log takes", lambda share: share.here),
}
_OF_REACTIONS: Final[dict[str, tuple[str, str, Callable[[ReactionOverview], float]]]] = {
    "act_fast.reaction.lag": ("{event}", "events still to process", lambda each: each.lag),
    "act_fast.reaction.uncorrelated": ("{event}", "positions not looked at yet", lambda each: each.uncorrelated),
    "act_fast.reaction.age": ("s", "how long the oldest event has been waiting", lambda each: each.age),
    "act_fast.reaction.retrying": ("{target}", "targets at an event that has failed", lambda each: each.retrying),
    "act_fast.reaction.skipped": ("{event}", "events skipped by hand", lambda each: each.skipped),
}


def instrument(app: Act | AsyncAct, /, *, fresh: float = 5.0, meter_provider: Any = None) -> None:
    """Let OpenTelemetry observe an app: its head, the progress of its reactions, and its counters.

    Call it once per app. Whenever metrics are collected, it looks at the store as `look` does, but at most once every
    `fresh` seconds. `act_fast.reaction.duration` records by reaction how long the events of a lease take. No attribute
    is per stream or target. Actions create spans, counts and durations by themselves, without this.

    Args:
        app: the app; it is not kept alive.
        fresh: how many seconds one look at the store is reused for all collections.
        meter_provider: of OpenTelemetry; None is the one that was set for the program.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
        ValidationError: it is not an app.
    """
    need("instrument()", "opentelemetry.metrics")
    plain = app.sync if isinstance(app, AsyncAct) else app
    if not isinstance(plain, Act):
        raise ValidationError(f"instrument() is for apps, not for {type(app).__name__}")
    api: Any = import_module("opentelemetry.metrics")
    meter = api.get_meter("act_fast", meter_provider=meter_provider)
    observed = _Observed(plain, arguments.milliseconds("fresh", fresh) / 1000, api.Observation)
    for name, (unit, text, value) in _GAUGES.items():
        meter.create_observable_gauge(name, [observed.gauge(value)], unit, text)
    for name, (unit, text, number) in _OF_KEPT.items():
        meter.create_observable_gauge(name, [observed.kept(number)], unit, text)
    for name, (unit, text, share) in _OF_FORMS.items():
        meter.create_observable_gauge(name, [observed.forms(share)], unit, text)
    for name, (unit, text, figure) in _OF_REACTIONS.items():
        meter.create_observable_gauge(name, [observed.reactions(figure)], unit, text)
    meter.create_observable_gauge(
        "act_fast.reaction.targets", [observed.targets], "{target}", "targets of a reaction, by state"
    )
    for name, text in (COUNTERS | (PROPOSALS if proposals_of(plain.store) else {})).items():
        meter.create_observable_counter(f"act_fast.{name.replace('_', '.')}", [observed.count(name)], "1", text)
    durations = meter.create_histogram("act_fast.reaction.duration", "s", "time that the events of a lease take")
    plain._program.timing = lambda reaction, took, events: durations.record(took, {"act_fast.reaction": reaction})


def _of_archive(shares: Shares | None) -> float | None:
    return None if shares is None else shares.archived.there


class _Observed:
    """One app, as callbacks see it. They give nothing once it is closed or gone, or while it cannot be looked at."""

    def __init__(self, app: Act, fresh: float, observation: Any) -> None:
        self._app = ref(app)
        self._fresh_s = fresh
        self._observation = observation
        self._lock = Lock()
        self._looked: tuple[float, Overview] | None = None
        tell_in_child(self)

    def forked(self) -> None:
        """The thread that looked stayed with the parent."""
        self._lock = Lock()

    def gauge(self, value: Callable[[Overview], float]) -> Callable[[object], Iterable[Any]]:
        """Of the whole store."""
        return lambda options: [self._observation(value(found)) for found in self._look()]

    def kept(self, value: Callable[[Kept], float | None]) -> Callable[[object], Iterable[Any]]:
        """Of how the store keeps its events, as far as it is known."""
        return lambda options: [
            self._observation(number)
            for found in self._look()
            if found.kept is not None and (number := value(found.kept)) is not None
        ]

    def forms(self, value: Callable[[Share], float]) -> Callable[[object], Iterable[Any]]:
        """Of the log, by the form of its files."""
        return lambda options: [
            self._observation(value(share), {"act_fast.form": form})
            for found in self._look()
            if found.kept is not None and found.kept.shares is not None
            for form, share in msgspec.structs.asdict(found.kept.shares).items()
        ]

    def reactions(self, value: Callable[[ReactionOverview], float]) -> Callable[[object], Iterable[Any]]:
        """Of each reaction."""
        return lambda options: [
            self._observation(value(each), {"act_fast.reaction": name})
            for found in self._look()
            for name, each in found.reactions.items()
        ]

    def targets(self, options: object) -> Iterable[Any]:
        """The targets of each reaction, by state."""
        return [
            self._observation(number, {"act_fast.reaction": name, "act_fast.state": state})
            for found in self._look()
            for name, each in found.reactions.items()
            for state, number in each.targets.items()
        ]

    def count(self, name: str) -> Callable[[object], Iterable[Any]]:
        """What the app has counted."""
        return lambda options: [self._observation(counts_of(app)[name]) for app in self._apps()]

    def _apps(self) -> Iterator[Act]:
        app = self._app()
        if app is not None:
            yield app

    def _look(self) -> Iterator[Overview]:
        for app in self._apps():
            with self._lock:
                looked = self._looked
                if looked is None or time.monotonic() >= looked[0] + self._fresh_s:
                    try:
                        self._looked = looked = time.monotonic(), look(app)
                    except (ActError, OSError):
                        return
            yield looked[1]
