"""What `do` and `load` return: a state, and where in the log it stands."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec
from msgspec.structs import force_setattr

from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast._events.meta import Meta
from act_fast._events.sealing import shown

__all__ = ["Snapshot"]

S_co = TypeVar("S_co", covariant=True)


class ReadsBack(Protocol):
    """What reads again what a snapshot only points to."""

    def events_between(self, stream: str, first: int, last: int) -> Sequence[Committed[Event]]:
        """The events of a stream from one version to another, both included, as far as they are known."""
        ...

    def meta_at(self, stream: str, version: int) -> Meta:
        """The meta of any event, known or not."""
        ...


class Snapshot(msgspec.Struct, Generic[S_co], frozen=True, eq=False, repr_omit_defaults=False):
    """A state at a version. It is your own copy: changes to it affect nothing else.

    Attributes:
        stream: the stream that was folded; for a view, the tag.
        version: the version of the stream that the state is at; 0 for a stream that has no events. For a view, the
            number of events that were folded.
        position: the position in the log of the state's last event; 0 without events.
        replayed: how many events had to be read from the log and folded to get there.
        cached: whether folding started from a live state in the cache.
        appended: how many events this `do` appended, or did the first time if it is repeated; 0 after a `load`.
        closed: whether the stream was closed by then, and so takes no more events.
        repeated: whether this is the outcome of an earlier `do` under the same key; then nothing was appended now.
    """

    stream: str
    version: int
    position: int
    replayed: int
    cached: bool
    _state: S_co
    _copy: Callable[[Any], Any] | None
    _log: ReadsBack
    appended: int = 0
    closed: bool = False
    repeated: bool = False

    @property
    def state(self) -> S_co:
        """The state itself."""
        # Copied when it is first asked for: what is held until then is the cache's, which nobody changes in place.
        own = self._copy
        if own is not None:
            force_setattr(self, "_state", own(self._state))
            force_setattr(self, "_copy", None)
        return self._state

    @property
    def event(self) -> Committed[Event] | None:
        """The event that brought the stream to this version, read from the log.

        None at version 0, and if the app does not know the event, which includes the event that closes a stream.
        """
        if not self.version:
            return None
        return next(iter(self._log.events_between(self.stream, self.version, self.version)), None)

    @property
    def meta(self) -> Meta:
        """Why the stream came to this version, and who did it, read from the log; empty at version 0."""
        return self._log.meta_at(self.stream, self.version) if self.version else Meta()

    @property
    def events(self) -> Sequence[Committed[Event]]:
        """The events that this `do` appended, read from the log; none after a `load`."""
        if not self.appended:
            return ()
        return self._log.events_between(self.stream, self.version - self.appended + 1, self.version)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from act_fast._checks.html_table import html_table

        place = [("version", self.version), ("position", self.position), *([("closed", True)] if self.closed else [])]
        fields = shown(self.state) if isinstance(self.state, msgspec.Struct) else ()
        return html_table(f"{type(self.state).__qualname__} {self.stream}", [*place, *fields])

    def __repr__(self) -> str:
        return (
            f"Snapshot(stream={self.stream!r}, version={self.version}, position={self.position},"
            f" state={cast(Any, self.state)!r}, replayed={self.replayed}, cached={self.cached})"
        )
