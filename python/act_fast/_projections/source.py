"""What a projection has to know of the app that it is part of, and of a rebuild."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from act_fast._events.committed import Committed
from act_fast._states.snapshot import Snapshot
from act_fast._states.state import State

if TYPE_CHECKING:
    import asyncio

    from act_fast._workers.runner import Program

__all__ = ["Replaying", "Source"]

S = TypeVar("S", bound=State)


class Source(Protocol):
    """The app: what feeds a projection, and what its methods are given."""

    @property
    def _program(self) -> "Program": ...

    def load(self, state: type[S], stream: str) -> Snapshot[S]:
        """The state of a stream."""
        ...

    def _folding_mark(self, state: type[State]) -> str:
        """Changes with whatever the states of a class are folded by."""
        ...


class Replaying(Protocol):
    """A rebuild at work: the projection's events once more."""

    @property
    def events(self) -> int:
        """How many events it has replayed."""
        ...

    @property
    def resume(self) -> bool:
        """Whether to go on where an earlier one was interrupted."""
        ...

    @property
    def head(self) -> int:
        """The position of the last event."""
        ...

    def loop(self) -> "asyncio.AbstractEventLoop":
        """The event loop that `async def` methods run on."""
        ...

    def begin_after(self, position: int) -> None:
        """Leave out what an earlier rebuild has replayed."""
        ...

    def replay(self, handle: Callable[[list[Committed[Any]]], None], upto: int) -> None:
        """Hand out the events up to a position that were not handed out yet, page by page."""
        ...

    def pages(self, after: int, upto: int) -> Iterator[Sequence[Committed[Any]]]:
        """The projection's events after a position and up to another one."""
        ...

    def watermark(self) -> int:
        """How far workers have come with the projection."""
        ...

    def halted(self) -> AbstractContextManager[None]:
        """Let no worker touch the projection inside the block."""
        ...

    def unblock(self) -> None:
        """Let workers go on with the projection."""
        ...
