"""Projections: read models that events keep up to date, and that you can throw away and rebuild."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import msgspec

from act_fast._checks.class_keywords import check_keywords
from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast._projections.methods import Method, methods_of, runs
from act_fast._projections.source import Replaying, Source
from act_fast._reactions.lane import DEFAULT_LANE
from act_fast._reactions.partial_batch import Partly
from act_fast._reactions.reaction import DEFAULT_BACKOFF, Reaction, reaction_of
from act_fast._runtime.backoff import Backoff
from act_fast.errors import DefinitionError, ValidationError

if TYPE_CHECKING:
    import asyncio

    from act_fast._states.state import State

__all__ = ["Projection"]


_KEYWORDS: Final = ("name", "source", "tags", "lane", "priority", "retries", "backoff", "block")


class Options(msgspec.Struct, frozen=True):
    """What the keywords of a projection's class say."""

    source: str | None = None
    tags: Sequence[str] = ()
    lane: str = DEFAULT_LANE
    priority: int = 0
    retries: int = 3
    backoff: float | Backoff = DEFAULT_BACKOFF
    block: bool = True


_DEFAULTS: Final = Options()


class Projection:
    """The base of all projections: a class whose methods keep a read model up to date, event by event.

        class Balances(Projection):
            def __init__(self) -> None:
                self.rows: dict[str, int] = {}

            @on(Deposited)
            def deposited(self, event: Committed[Deposited]) -> None:
                self.rows[event.stream] = self.rows.get(event.stream, 0) + event.data.amount

        app = Act("bank.act", Account, Balances())

    All its events come in the order of their positions, under one target that has the projection's name. Each comes at
    least once: after a failure, or when a process died, some come again. `SqlProjection` makes each count exactly once.

    Class keywords, explained at `Act.on`; subclasses inherit them, except for the name:

    * `name=`: what its progress is stored under; by default, the class's own name.
    * `source=`: the stream, or the pattern of streams, that it listens to.
    * `tags=`: only events that carry all of these tags.
    * `lane=`, `priority=`, `retries=`, `backoff=`, `block=`.

    Attributes:
        name: what its progress is stored under, and the name of its target.
    """

    name: str = "Projection"
    _options: ClassVar[Options] = _DEFAULTS
    _extra: ClassVar[int] = 0

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        source: str | None = None,
        tags: Sequence[str] | None = None,
        lane: str | None = None,
        priority: int | None = None,
        retries: int | None = None,
        backoff: float | Backoff | None = None,
        block: bool | None = None,
        **unknown: object,
    ) -> None:
        check_keywords(cls.__qualname__, unknown, _KEYWORDS, struct=False)
        super().__init_subclass__()
        cls.name = cls.__name__ if name is None else name
        said = {
            "source": source,
            "tags": tags,
            "lane": lane,
            "priority": priority,
            "retries": retries,
            "backoff": backoff,
            "block": block,
        }
        changes = {key: value for key, value in said.items() if value is not None}
        cls._options = msgspec.structs.replace(cls._options, **changes)

    @property
    def target(self) -> str:
        """The name of its target."""
        return self.name

    @property
    def source(self) -> str | None:
        """The stream, or the pattern of streams, that it listens to."""
        return self._options.source

    @property
    def tags(self) -> Sequence[str]:
        """The tags that its events carry, all of them; empty: any events."""
        return self._options.tags

    @property
    def components(self) -> "Sequence[type[State]]":
        """State classes that it needs, so that the app includes them."""
        return ()

    @property
    def reactions(self) -> Sequence[Reaction]:
        """What apps run: one reaction.

        Raises:
            DefinitionError: its methods, or the keywords of its class, are not valid.
        """
        return self._reactions

    @cached_property
    def _reactions(self) -> Sequence[Reaction]:
        options = self._options
        made = reaction_of(
            self._handler(),
            self.events,
            to=self.name.replace("{", "{{").replace("}", "}}"),
            source=options.source,
            tags=options.tags or None,
            lane=options.lane,
            priority=options.priority,
            retries=options.retries,
            backoff=options.backoff,
            block=options.block,
            name=self.name,
            batch=self._takes_lists(),
        )
        return (msgspec.structs.replace(made, place=self._place),)

    @property
    def events(self) -> Sequence[type[Event]]:
        """The event classes that it handles."""
        return tuple(self._methods)

    def fresh(self) -> Self:
        """An empty copy, for `rebuild` to replay into while this one keeps working.

        Raises:
            ValidationError: it cannot be rebuilt, because the class does not define this method.
        """
        raise ValidationError(
            f"projection {self.name!r} cannot be rebuilt: give {type(self).__qualname__} the methods fresh(), which"
            " makes an empty copy, and take_over(fresh)"
        )

    def take_over(self, fresh: Any) -> None:
        """Replace what this one holds with what a copy holds, as the last step of `rebuild`."""
        raise ValidationError(f"projection {self.name!r} cannot be rebuilt: give it a method take_over(fresh)")

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {self.name!r}>"

    @property
    def _place(self) -> str:
        return f"{type(self).__module__}.{type(self).__qualname__}"

    @cached_property
    def _methods(self) -> dict[type[Event], Method]:
        """The method for each event."""
        methods = methods_of(self, self._extra)
        if not methods:
            raise DefinitionError(f"{self._place} handles no event; give it a method with @on(Deposited)")
        if len({method.asynchronous for method in methods}) > 1:
            raise DefinitionError(f"{self._place}: some methods are `async def` and some are not; make them alike")
        return {event: method for method in methods for event in method.events}

    def _takes_lists(self) -> bool:
        return any(method.batch for method in self._methods.values())

    def _handler(self) -> Callable[..., object]:
        """What the reaction calls."""
        methods = self._methods
        if any(method.asynchronous for method in methods.values()):
            return self._handle_lists_async if self._takes_lists() else self._handle_one_async
        return self._handle_lists if self._takes_lists() else self._handle_one

    def _handle_one(self, event: Committed[Any]) -> object:
        return self._methods[type(event.data)].call(event)

    async def _handle_one_async(self, event: Committed[Any]) -> object:
        return await self._methods[type(event.data)].call(event)

    def _handle_lists(self, events: list[Committed[Any]]) -> None:
        self._run(events)

    async def _handle_lists_async(self, events: list[Committed[Any]]) -> None:
        for method, start, end in runs(self._methods, events):
            try:
                method.check(await method.call(events[start:end] if method.batch else events[start]))
            except Exception as error:
                if not start:
                    raise
                raise Partly(events[start - 1].position, error) from error

    def _run(self, events: list[Committed[Any]]) -> None:
        """Handle events, one after the other or in lists.

        Raises:
            Partly: the first of them are handled, and then one failed.
        """
        for method, start, end in runs(self._methods, events):
            try:
                method.check(method.call(events[start:end] if method.batch else events[start]))
            except Exception as error:
                if not start:
                    raise
                raise Partly(events[start - 1].position, error) from error

    def _replay(self, events: list[Committed[Any]], loop: "Callable[[], asyncio.AbstractEventLoop]") -> None:
        """Handle events that are not delivered by a worker."""
        if not next(iter(self._methods.values())).asynchronous:
            self._run(events)
            return
        import asyncio

        asyncio.run_coroutine_threadsafe(self._handle_lists_async(events), loop()).result()

    def _rebuild(self, rebuilding: Replaying, app: Source) -> None:
        """Replay into a fresh copy up to where this one is, and swap while no worker has it."""
        fresh = self.fresh()
        rebuilding.replay(lambda events: fresh._replay(events, rebuilding.loop), rebuilding.watermark())
        with rebuilding.halted():
            rebuilding.replay(lambda events: fresh._replay(events, rebuilding.loop), rebuilding.watermark())
            self.take_over(fresh)
