"""Rebuilding a projection: its events once more from the log, into a fresh copy beside the live one."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from act_fast._checks.components import each_of
from act_fast._events.committed import Committed
from act_fast._events.context import Repeated, ambient
from act_fast._projections.projection import Projection
from act_fast._projections.repeating import Repeating
from act_fast._projections.source import Source
from act_fast._reactions.partial_batch import Partly
from act_fast._reactions.skipped import left_out
from act_fast._rows import Progress
from act_fast._runtime.apart import check_interrupted
from act_fast._workers.host import Host
from act_fast._workers.runner import Program
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import pinned_to_log
from act_fast.stores.conditions import Conditions, conditions_of
from act_fast.stores.port import Store

if TYPE_CHECKING:
    import asyncio

__all__ = ["Rebuilding", "projections_in", "rebuild"]

_PAGE_EVENTS: Final = 1000
_position: Final = attrgetter("position")


class Rebuilding:
    """One rebuild at work.

    Attributes:
        events: how many events it has replayed.
        resume: whether to go on where an earlier one was interrupted.
    """

    def __init__(
        self, program: Program, app: Source, projection: Projection, resume: bool, progress: Progress | None
    ) -> None:
        self.events = 0
        self.resume = resume
        self._program = program
        self._store = pinned_to_log(program.store)
        self._app = app
        self._projection = projection
        self._progress = progress
        self._position = 0

    @property
    def head(self) -> int:
        """The position of the last event."""
        return self._store.head

    def loop(self) -> "asyncio.AbstractEventLoop":
        """The event loop that `async def` methods run on."""
        found: asyncio.AbstractEventLoop = self._program.loop(Host(self._app))
        return found

    def begin_after(self, position: int) -> None:
        """Leave out what an earlier rebuild has replayed."""
        self._position = position

    def replay(self, handle: Callable[[list[Committed[Any]]], None], upto: int) -> None:
        """Hand out the events up to a position, this one included, that were not handed out yet; page by page."""
        repeating = Repeating(self._projection.name, self.watermark())
        for page in self.pages(self._position, upto):
            check_interrupted()
            known = bisect_right(page, repeating.upto, key=_position)
            for part in (page[:known], page[known:]):
                if part:
                    ambient.set(Repeated(handled=part[0], handling=repeating))
                    handle(part)
            self._position = page[-1].position
            self.events += len(page)
            if self._progress is not None:
                self._progress(self._position, upto)
        if self._progress is not None and self._position < upto:
            self._progress(upto, upto)
        self._position = max(self._position, upto)

    def pages(self, after: int, upto: int) -> Iterator[list[Committed[Any]]]:
        """The projection's events after a position and up to another one."""
        return pages_between(self._store, self._program, self._projection, after, upto)

    def watermark(self) -> int:
        """How far workers have come with the projection."""
        for each in self._targets():
            found = each["watermark"]
            assert isinstance(found, int)
            return found
        return 0

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Let no worker touch the projection inside the block."""
        port, name = self._program.port(), self._projection.name
        found = self._targets()
        if not found:
            yield
            return
        port.block("it is being rebuilt; if the process that does so has died, unblock it", names=[name])
        try:
            yield
        except BaseException:
            if found[0]["blocked"]:
                port.block(str(found[0]["error"] or ""), names=[name])  # what stopped it is not put right
            else:
                self.unblock()
            raise
        self.unblock()

    def unblock(self) -> None:
        """Let workers go on with the projection; what has stopped them may be fixed."""
        if self._targets():
            self._program.port().unblock(names=[self._projection.name])

    def _targets(self) -> list[dict[str, object]]:
        try:
            return self._program.port().targets(names=[self._projection.name])
        except ValidationError:
            return []  # no event has concerned it so far


def rebuild(
    app: Source,
    components: Iterable[object],
    projection: Projection | str,
    resume: bool,
    progress: Progress | None,
) -> int:
    """Rebuild a projection of an app; how many events were replayed."""
    program = app._program
    found = _of_app(components, projection)
    rebuilding = Rebuilding(program, app, found, resume, progress)
    before = ambient.set(None)
    try:
        found._rebuild(rebuilding, app)
    except Partly as partly:
        raise partly.error from None
    finally:
        ambient.reset(before)
    program.wake()
    return rebuilding.events


def pages_between(
    store: Store, program: Program, projection: Projection, after: int, upto: int
) -> Iterator[list[Committed[Any]]]:
    """The events of a projection between two positions, the second included, without those skipped; page by page."""
    codec = program.catalog().codec
    classes = set(projection.events)
    names = [name for name, event in codec.classes.items() if event in classes]
    conditions: Conditions = {**conditions_of(projection.source, projection.tags), "after": after, "before": upto + 1}
    found = store.query(names=names, **conditions)
    skipped = left_out(program.port(), projection.name)
    kept = codec.committed_each(each for each in found if each.position not in skipped)
    while page := list(islice(kept, _PAGE_EVENTS)):
        yield page


def projections_in(components: Iterable[object]) -> Iterator[Projection]:
    """The projections of an app's components, also those in slices."""
    return (each for each in each_of(components) if isinstance(each, Projection))


def _of_app(components: Iterable[object], projection: Projection | str) -> Projection:
    known = list(projections_in(components))
    for each in known:
        if each is projection or each.name == projection:
            return each
    names = ", ".join(repr(each.name) for each in known) or "none"
    called = repr(projection) if isinstance(projection, str) else repr(getattr(projection, "name", projection))
    raise ValidationError(f"{called} is not a projection of this app, which has {names}; include it first")
