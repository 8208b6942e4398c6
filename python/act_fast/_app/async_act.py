"""The app for event loops: the same verbs, awaited."""

import asyncio
import copy
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload
from uuid import UUID

from act_fast._app.act import Act
from act_fast._app.address import Address
from act_fast._app.async_exchange_verbs import AsyncExchanges
from act_fast._app.async_keeping_verbs import AsyncKeeps
from act_fast._app.async_reaction_verbs import AsyncReacts
from act_fast._app.async_timer_verbs import AsyncSchedules
from act_fast._app.decision import (
    Decided,
    Decider1,
    Decider2,
    Decider3,
    Decider4,
    Decider5,
    Decider6,
    DecisionFunction,
)
from act_fast._app.slice import Component
from act_fast._checks import arguments
from act_fast._events.committed import Committed
from act_fast._events.context import Ambient
from act_fast._events.correlation import new_correlation
from act_fast._events.event import Event
from act_fast._events.meta import Actor
from act_fast._loading.cache import CacheInfo
from act_fast._model.fold import Unknown
from act_fast._reactions.lane import Lane
from act_fast._reactions.reports import Acked, Blocked, Claimed, Settled
from act_fast._rows import Progress
from act_fast._runtime.executor import Threads, apart
from act_fast._runtime.observers import Failure
from act_fast._states.action import Action, Call
from act_fast._states.snapshot import Snapshot
from act_fast._states.state import State
from act_fast._states.view import Seen
from act_fast._workers.host import Host
from act_fast.errors import DefinitionError
from act_fast.stores.conditions import Conditions, spelled_out

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from act_fast._app.continuous_view import ContinuousView
    from act_fast._app.forgetting import ForgetReport
    from act_fast._privacy.key_store import KeyStore

__all__ = ["AsyncAct"]

S = TypeVar("S", bound=State)
A = TypeVar("A", bound=State)
B = TypeVar("B", bound=State)
C = TypeVar("C", bound=State)
D = TypeVar("D", bound=State)
G = TypeVar("G", bound=State)
H = TypeVar("H", bound=State)
P = ParamSpec("P")
E = TypeVar("E", bound=Event)
T = TypeVar("T")

_PAGE = 100
_LONG_MAX = 1000


class AsyncAct(AsyncReacts, AsyncSchedules, AsyncExchanges, AsyncKeeps):
    """An `Act` whose verbs are awaited.

    The `Act` inside does the work, on threads, so neither a flush nor a long replay blocks the event loop. Cancelling a
    verb leaves nothing half done: one that has not started never starts, and one that has started is waited for.

        async with AsyncAct("bank.act", Account) as app:
            await app.do(Account.deposit, "account-7", amount=50)

    Creating it opens the store right away, on the calling thread; `AsyncAct.open` keeps the event loop free.

    Args:
        store: as for `Act`, or an `Act`, which is then shared.
        components: as for `Act`; none with an `Act`.
        debug: as for `Act`.
        unknown: as for `Act`.
        cache_max: as for `Act`.
        correlator: as for `Act`.
        lanes: as for `Act`; none with an `Act`.
        keys: as for `Act`; none with an `Act`.
        threads_max: how many verbs can run at once; concurrent appends share their flushes.
    """

    def __init__(
        self,
        store: Address | Act,
        /,
        *components: Component,
        debug: bool = False,
        unknown: Unknown = "warn",
        cache_max: int = 10_000,
        correlator: Callable[[], str] = new_correlation,
        lanes: Sequence[Lane] = (),
        keys: "KeyStore | None" = None,
        threads_max: int = 32,
    ) -> None:
        if isinstance(store, Act):
            if components or lanes or keys is not None:
                raise DefinitionError("an Act already has its components; include more there, or pass a store")
            self._app = store
        else:
            self._app = Act(
                store,
                *components,
                debug=debug,
                unknown=unknown,
                cache_max=cache_max,
                correlator=correlator,
                lanes=lanes,
                keys=keys,
            )
        self._threads = Threads(max(1, arguments.count("threads_max", threads_max)))
        self._long = Threads(_LONG_MAX)

    @classmethod
    async def open(cls, store: Address | Act, /, *components: Component, **options: Any) -> Self:
        """Create one without blocking the event loop, since opening a store may read a whole log after a crash.

            async with await AsyncAct.open("bank.act", Account) as app: ...

        If it is cancelled, the store is closed again before the cancellation takes effect.

        Args:
            store: as for the class itself, like everything else.
            components: state classes, slices and projections.
            options: as for the class itself.
        """
        opened: list[Self] = []
        try:
            await apart(lambda: opened.append(cls(store, *components, **options)))
        except asyncio.CancelledError:
            for each in opened:
                await each.close()
            raise
        return opened[0]

    @property
    def sync(self) -> Act:
        """The `Act` inside, for code that runs on a thread of its own."""
        return self._app

    async def do(self, action: Action[S, P, Any], stream: str, /, *args: P.args, **kwargs: P.kwargs) -> Snapshot[S]:
        """`Act.do`, awaited."""
        return await self._threads.run(self._app.do, action, stream, *args, **kwargs)

    @overload
    async def do_many(self, first: Call[A], /) -> tuple[Snapshot[A]]: ...
    @overload
    async def do_many(self, first: Call[A], second: Call[B], /) -> tuple[Snapshot[A], Snapshot[B]]: ...
    @overload
    async def do_many(
        self, first: Call[A], second: Call[B], third: Call[C], /
    ) -> tuple[Snapshot[A], Snapshot[B], Snapshot[C]]: ...
    @overload
    async def do_many(self, /, *calls: Call[S]) -> tuple[Snapshot[S], ...]: ...
    async def do_many(self, /, *calls: Call[Any]) -> tuple[Snapshot[Any], ...]:
        """`Act.do_many`, awaited."""
        found: tuple[Snapshot[Any], ...] = await self._threads.run(self._app.do_many, *calls)
        return found

    @overload
    async def decide(
        self, decision: Decider1[A, P], first: Seen[A], /, *args: P.args, **kwargs: P.kwargs
    ) -> Decided: ...
    @overload
    async def decide(
        self, decision: Decider2[A, B, P], first: Seen[A], second: Seen[B], /, *args: P.args, **kwargs: P.kwargs
    ) -> Decided: ...
    @overload
    async def decide(
        self,
        decision: Decider3[A, B, C, P],
        first: Seen[A],
        second: Seen[B],
        third: Seen[C],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Decided: ...
    @overload
    async def decide(
        self,
        decision: Decider4[A, B, C, D, P],
        first: Seen[A],
        second: Seen[B],
        third: Seen[C],
        fourth: Seen[D],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Decided: ...
    @overload
    async def decide(
        self,
        decision: Decider5[A, B, C, D, G, P],
        first: Seen[A],
        second: Seen[B],
        third: Seen[C],
        fourth: Seen[D],
        fifth: Seen[G],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Decided: ...
    @overload
    async def decide(
        self,
        decision: Decider6[A, B, C, D, G, H, P],
        first: Seen[A],
        second: Seen[B],
        third: Seen[C],
        fourth: Seen[D],
        fifth: Seen[G],
        sixth: Seen[H],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Decided: ...
    async def decide(self, decision: DecisionFunction[Any], /, *given: Any, **kwargs: Any) -> Decided:
        """`Act.decide`, awaited."""
        found: Decided = await self._threads.run(self._app.decide, decision, *given, **kwargs)
        return found

    @overload
    async def load(
        self,
        state: type[S],
        stream: str,
        *,
        before: int | datetime | None = None,
        at: int | datetime | None = None,
        position: int | None = None,
    ) -> Snapshot[S]: ...
    @overload
    async def load(
        self,
        state: Seen[S],
        *,
        before: int | datetime | None = None,
        at: int | datetime | None = None,
        position: int | None = None,
    ) -> Snapshot[S]: ...
    async def load(
        self,
        state: Any,
        stream: Any = None,
        *,
        before: int | datetime | None = None,
        at: int | datetime | None = None,
        position: int | None = None,
    ) -> Snapshot[Any]:
        """`Act.load`, awaited."""
        return await self._threads.run(partial(self._app.load, state, stream, before=before, at=at, position=position))

    @overload
    def history(
        self, state: type[S], stream: str, *, after: int = 0, before: int | None = None
    ) -> AsyncIterator[Snapshot[S]]: ...
    @overload
    def history(self, state: Seen[S], *, after: int = 0, before: int | None = None) -> AsyncIterator[Snapshot[S]]: ...
    def history(
        self, state: Any, stream: Any = None, *, after: int = 0, before: int | None = None
    ) -> AsyncIterator[Snapshot[Any]]:
        """`Act.history`, for `async for`."""
        return self._each(self._app.history(state, stream, after=after, before=before))

    def replay(
        self,
        state: type[S],
        *,
        streams: str | None = None,
        at: int | datetime | None = None,
        after: str | None = None,
        progress: Progress | bool = False,
    ) -> AsyncIterator[tuple[str, Snapshot[S]]]:
        """`Act.replay`, for `async for`, which starts it. `progress` is called on the thread that does the work."""
        return self._each_of(lambda: self._app.replay(state, streams=streams, at=at, after=after, progress=progress))

    async def snapshot(self, state: type[S], stream: str) -> Snapshot[S]:
        """`Act.snapshot`, awaited."""
        return await self._threads.run(self._app.snapshot, state, stream)

    @overload
    def query(
        self,
        *,
        events: Sequence[type[E]],
        limit: int | None = None,
        backwards: bool = False,
        **conditions: Unpack[Conditions],
    ) -> AsyncIterator[Committed[E]]: ...
    @overload
    def query(
        self,
        *,
        events: Sequence[type[Event]] | None = None,
        limit: int | None = None,
        backwards: bool = False,
        **conditions: Unpack[Conditions],
    ) -> AsyncIterator[Committed[Event]]: ...
    @spelled_out
    def query(
        self,
        *,
        events: Sequence[type[Event]] | None = None,
        limit: int | None = None,
        backwards: bool = False,
        **conditions: Unpack[Conditions],
    ) -> AsyncIterator[Committed[Any]]:
        """`Act.query`, for `async for`."""
        return self._each(self._app.query(events=events, limit=limit, backwards=backwards, **conditions))

    async def sql(self, query: str, /, *, at: int | datetime | None = None, **params: Any) -> "DuckDBPyRelation":
        """`Act.sql`, awaited. Reading from the relation happens on the caller's thread, and blocks the loop."""
        return await self._threads.run(self._app.sql, query, at=at, **params)

    async def view(self, name: str, query: str, /) -> "ContinuousView":
        """`Act.view`, awaited. Its own methods run on the caller's thread and block the loop; `sql` does not."""
        return await self._threads.run(self._app.view, name, query)

    def lookup(self, event: type[E], /, **values: object) -> AsyncIterator[Committed[E]]:
        """`Act.lookup`, for `async for`."""
        return self._each(self._app.lookup(event, **values))

    async def forget(
        self, subject: str | int | UUID, *, reason: str, also: Sequence[str | os.PathLike[str]] = ()
    ) -> "ForgetReport":
        """`Act.forget`, awaited."""
        return await self._long.run(self._app.forget, subject, reason=reason, also=also)

    def include(self, *components: Component) -> None:
        """`Act.include`."""
        self._app.include(*components)

    def acting(self, actor: Actor) -> Self:
        """The same app, acting in this actor's name."""
        return self._with(self._app.acting(actor))

    def expecting(self, version: int) -> Self:
        """The same app, whose `do` fails unless the stream is at this version."""
        return self._with(self._app.expecting(version))

    def once(self, key: str) -> Self:
        """The same app, whose `do`, `do_many` or `decide` is done only once under this key."""
        return self._with(self._app.once(key))

    def context(self, *, actor: Actor | None = None, correlation: str | None = None) -> AbstractContextManager[Ambient]:
        """`Act.context`: the values hold inside the `with` block, and in tasks started there."""
        return self._app.context(actor=actor, correlation=correlation)

    @overload
    def observe(self, kind: Literal["committed"], observer: Callable[[Snapshot[Any]], object], /) -> None: ...
    @overload
    def observe(self, kind: Literal["error"], observer: Callable[[Failure], object], /) -> None: ...
    @overload
    def observe(self, kind: Literal["claimed"], observer: Callable[[Claimed], object], /) -> None: ...
    @overload
    def observe(self, kind: Literal["acked"], observer: Callable[[Acked], object], /) -> None: ...
    @overload
    def observe(self, kind: Literal["blocked"], observer: Callable[[Blocked], object], /) -> None: ...
    @overload
    def observe(self, kind: Literal["settled"], observer: Callable[[Settled], object], /) -> None: ...
    def observe(self, kind: Any, observer: Callable[[Any], object], /) -> None:
        """`Act.observe`. The observer is called on the thread that did the work."""
        self._app.observe(kind, observer)

    def cache_info(self) -> CacheInfo:
        """Hits, misses and size of the cache of live states."""
        return self._app.cache_info()

    async def close(self) -> None:
        """Stop whatever is running, wait for verbs in progress, and close the store if the app opened it."""
        await apart(self._app._program.close)
        await self._long.close()
        await self._threads.close()
        await apart(self._app.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncAct({self._app!r})"

    def _end_threads(self) -> None:
        self._long.end()
        self._threads.end()

    def _host(self) -> Host:
        return Host(self._app, self, asyncio.get_running_loop())

    async def _each(self, found: Iterator[T]) -> AsyncIterator[T]:
        while page := await self._threads.run(_page, found):
            for each in page:
                yield each

    async def _each_of(self, begin: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        async for each in self._each(await self._threads.run(begin)):
            yield each

    def _with(self, app: Act) -> Self:
        other = copy.copy(self)
        other._app = app
        return other


def _page(found: Iterator[T]) -> list[T]:
    return list(islice(found, _PAGE))
