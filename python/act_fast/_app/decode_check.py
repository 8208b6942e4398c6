"""Whether the events of a log still decode as the classes of today: a gate to pass before a release."""

from typing import Final

import msgspec

from act_fast._app.act import Act
from act_fast._app.async_act import AsyncAct
from act_fast._events.codec import Codec
from act_fast._events.committed import Committed
from act_fast._events.gone import GONE
from act_fast._rows import Progress
from act_fast._timers.names import is_own
from act_fast.errors import ValidationError
from act_fast.stores.port import Store

__all__ = ["CheckReport", "NameReport", "Undecodable", "check"]

_PROGRESS_EVENTS: Final = 10_000


class Undecodable(msgspec.Struct, frozen=True):
    """An event that does not decode: where it is, and why."""

    stream: str
    version: int
    position: int
    reason: str


class NameReport(msgspec.Struct, frozen=True):
    """What was found of the events of one stored name.

    Attributes:
        name: the stored name.
        events: how many there are.
        event: the class they decode as; None when no class claims the name.
        failures: how many do not decode.
        first: the first of these.
    """

    name: str
    events: int
    event: str | None
    failures: int
    first: Undecodable | None


class CheckReport(msgspec.Struct, frozen=True):
    """What became of every event in the log, by stored name.

    Attributes:
        events: how many there are.
        names: the stored names.
        changing: the fields whose defaults are something else at each start of the program, where that was looked at.
    """

    events: int
    names: list[NameReport]
    changing: list[str] = []

    @property
    def failures(self) -> int:
        """How many events do not decode."""
        return sum(each.failures for each in self.names)

    @property
    def healthy(self) -> bool:
        """Whether all of them do, and mean the same at each start."""
        return not self.failures and not self.changing


def check(
    app: Act | AsyncAct, store: Store, *, skip_unknown: bool = False, progress: Progress | None = None
) -> CheckReport:
    """Decode every event of `store` with the classes and upcasters of `app`, whose own store is left alone.

    Args:
        app: whose states say what the events are.
        store: the log to check.
        skip_unknown: whether a name that no class claims is meant to be left out, and so is no failure; it is not
            either with an app that was made with `unknown="skip"`.
        progress: called now and then with (events looked at, events in all).
    """
    act = app.sync if isinstance(app, AsyncAct) else app
    codec = act._codec
    skip_unknown = skip_unknown or act._engine.unknown == "skip"
    found: dict[str, Tally] = {}
    head = store.head
    for each in store.query(before=head + 1):
        tally = found.setdefault(each.name, Tally())
        tally.events += 1
        known = is_own(each.name) or each.data in GONE
        if not known and not (skip_unknown and each.name not in codec.decoders):
            try:
                codec.decode(each.name, each.data)
            except Exception as error:  # an upcaster may raise anything
                tally.fail(each, error)
        if progress is not None and each.position % _PROGRESS_EVENTS == 0:
            progress(each.position, head)
    names = [
        NameReport(name, tally.events, _class_of(codec, name), tally.failures, tally.first)
        for name, tally in sorted(found.items())
    ]
    return CheckReport(sum(each.events for each in names), names)


class Tally:
    def __init__(self) -> None:
        self.events = 0
        self.failures = 0
        self.first: Undecodable | None = None

    def fail(self, where: Committed[bytes], error: Exception) -> None:
        self.failures += 1
        if self.first is None:
            reason = str(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
            self.first = Undecodable(where.stream, where.version, where.position, reason)


def _class_of(codec: Codec, name: str) -> str | None:
    event = codec.classes.get(name)
    return None if event is None else f"{event.__module__}.{event.__qualname__}"
