"""The app: the object you work with."""

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, Unpack, cast, overload
from uuid import UUID

from act_fast._app.address import Address, open_store
from act_fast._app.decision import (
    Decided,
    Decider1,
    Decider2,
    Decider3,
    Decider4,
    Decider5,
    Decider6,
    DecisionFunction,
    decide,
)
from act_fast._app.do_many import do_many
from act_fast._app.exchange_verbs import Exchanges
from act_fast._app.keeping_verbs import Keeps
from act_fast._app.reaction_verbs import Reacts
from act_fast._app.slice import Component
from act_fast._app.telemetry import engine_class
from act_fast._app.timer_verbs import Schedules
from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast._checks.plain_code import unplain
from act_fast._events.codec import Codec
from act_fast._events.committed import Committed
from act_fast._events.context import Ambient, within
from act_fast._events.correlation import new_correlation
from act_fast._events.event import Event
from act_fast._events.meta import Actor, check_actor
from act_fast._loading.cache import CacheInfo
from act_fast._model.fold import Unknown
from act_fast._reactions.lane import Lane
from act_fast._reactions.reports import Acked, Blocked, Claimed, Settled
from act_fast._rows import Progress
from act_fast._runtime.observers import Failure, Observed
from act_fast._states.action import Action, Call
from act_fast._states.snapshot import Snapshot
from act_fast._states.state import State
from act_fast._states.view import Seen, View
from act_fast._workers.runner import Program
from act_fast.errors import ValidationError
from act_fast.stores.conditions import Conditions, spelled_out
from act_fast.stores.port import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from act_fast._app.continuous_view import ContinuousView
    from act_fast._app.forgetting import ForgetReport
    from act_fast._model.registry import Registry
    from act_fast._privacy.key_store import KeyStore
    from act_fast._privacy.vault import Vault
    from act_fast._reactions.catalog import Catalog
    from act_fast._sql.library import Library

__all__ = ["Act"]

S = TypeVar("S", bound=State)
A = TypeVar("A", bound=State)
B = TypeVar("B", bound=State)
C = TypeVar("C", bound=State)
D = TypeVar("D", bound=State)
G = TypeVar("G", bound=State)
H = TypeVar("H", bound=State)
P = ParamSpec("P")
E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Callable[..., object])


class Act(Schedules, Reacts, Exchanges, Keeps):
    """An app: a store, and the states whose events are in it. Any number of threads may use it at once.

        app = Act("bank.act", Account)
        app.do(Account.deposit, "account-7", amount=50)

    Args:
        store: the path of a directory, created if it does not exist; `"memory:"`; the address of a database; or a store
            that you opened yourself.
        components: state classes, slices and projections.
        debug: also make checks that cost time, or are strict: that actions do not change the state, that reducers
            produce values of the types that the state declares, and that handlers return nothing, since it would be
            dropped. For development and tests.
        unknown: what to do with an event in a stream that its state does not know: `"warn"` leaves it out and logs each
            name once, `"skip"` leaves it out silently, `"raise"` raises `DecodeError`.
        cache_max: how many live states to keep; the least recently used is dropped first. 0 keeps none.
        correlator: a function without arguments that generates the ids that commits are correlated by.
        lanes: the lanes that reactions may name, besides `"default"`.
        keys: where the keys of personal values are; needed if an event or a state has some. You close it.

    Raises:
        DefinitionError: the components conflict with each other.
        ValidationError: an option, or the store's address, is not valid.
        StoreError: the store cannot be opened.
    """

    def __init__(
        self,
        store: Address,
        /,
        *components: Component,
        debug: bool = False,
        unknown: Unknown = "warn",
        cache_max: int = 10_000,
        correlator: Callable[[], str] = new_correlation,
        lanes: Sequence[Lane] = (),
        keys: "KeyStore | None" = None,
    ) -> None:
        arguments.one_of("unknown", unknown, ("warn", "skip", "raise"))
        if not callable(correlator):
            raise ValidationError(f"correlator must be a function that generates ids, not {type(correlator).__name__}")
        if (wrong := unplain(correlator)) is not None:
            raise ValidationError(f"correlator is called and not awaited, but {wrong}; write it as a plain `def`")
        vault, components = (None, components) if keys is None else _sealing(keys, components)
        opened, self._owned = open_store(store)
        self._actor: Actor | None = None
        self._expected: int | None = None
        self._key: str | None = None
        try:
            self._engine = engine_class()(
                opened,
                components,
                arguments.flag("debug", debug),
                unknown,
                arguments.count("cache_max", cache_max),
                correlator,
                vault,
            )
            engine = self._engine
            self._program = Program(opened, engine.observers, lambda: engine.registry, lanes)
            self._program.debug = debug
        except BaseException:
            if self._owned:
                opened.close()
            raise

    def _folding_mark(self, state: type[State]) -> str:
        return self._engine.registry.model_of(state).stored.mark

    @property
    def store(self) -> Store:
        """The store that the app works on."""
        return self._engine.store

    @property
    def states(self) -> Sequence[type[State]]:
        """The state classes of the app."""
        return tuple(self._engine.registry.models)

    @property
    def _codec(self) -> Codec:
        """What decodes the app's events, upcasters included, by their stored names."""
        return self._engine.registry.codec

    @property
    def _library(self) -> "Library":
        """The relations that SQL knows."""
        engine, catalog = self._engine, self._program.catalog()
        with engine.defining:
            known = engine.library
            if known is None or known.made_of != (engine.registry, catalog):
                known = engine.library = self._library_of(engine.registry, catalog)
            known.keep(tuple(engine.continuous.values()))
            return known

    def _library_of(self, registry: "Registry", catalog: "Catalog") -> "Library":
        need("SQL", "duckdb", "fsspec")
        from act_fast._app.local_copy import at_hand
        from act_fast._sql.library import (
            library_of_app,  # DuckDB takes a while to import, and most apps have no use for it
        )

        return library_of_app(self.store, registry, catalog, self.targets, self.skipped, at_hand)

    def _check(self, registry: "Registry") -> None:
        """Make sure that definitions fit the reactions, and the questions that are kept answered."""
        self._program.check(registry)
        if kept := tuple(self._engine.continuous.values()):
            self._library_of(registry, self._program.catalog()).keep(kept)

    def include(self, *components: Component) -> None:
        """Add state classes, slices and projections to the app.

        Raises:
            DefinitionError: they conflict with existing ones; nothing was added.
        """
        self._engine.include(components, self._check)
        if self._program.at_work:
            self._take_timers(True)
        self._program.wake()

    def do(self, action: Action[S, P, Any], stream: str, /, *args: P.args, **kwargs: P.kwargs) -> Snapshot[S]:
        """Run an action on a stream, and return the state after it.

        The arguments are checked and converted, the state is loaded, the invariants are checked, and the action
        decides. The events it returns are appended as one commit, provided that nothing else has been appended
        meanwhile.

        Args:
            action: an action of one of the app's states, such as `Account.deposit`.
            stream: the stream to run it on; created by its first event.
            args: the action's own arguments.
            kwargs: the action's own arguments, by name.

        Raises:
            ValidationError: an argument is wrong, or the stream's name.
            DefinitionError: the action is not the app's, or an event that it returned is wrong.
            DecodeError: an event of the stream does not decode.
            StreamClosedError: the stream takes no more events.
            InvariantError: a rule does not hold.
            KeyReusedError: the key that `once` named was used before, for something else.
            ConcurrencyError: something else was appended first, more often than the action's `retries` allow; or the
                stream is not at the version that `expecting` named.
            StoreError: the store could not append.

        In each of these cases, and when the action itself raises, nothing was appended. The one exception is
        `OutcomeUnknownError`, a `StoreError`: load the stream to find out.
        """
        return self._engine.do(action, stream, args, kwargs, self._actor, self._expected, self._key)

    @overload
    def do_many(self, first: Call[A], /) -> tuple[Snapshot[A]]: ...
    @overload
    def do_many(self, first: Call[A], second: Call[B], /) -> tuple[Snapshot[A], Snapshot[B]]: ...
    @overload
    def do_many(
        self, first: Call[A], second: Call[B], third: Call[C], /
    ) -> tuple[Snapshot[A], Snapshot[B], Snapshot[C]]: ...
    @overload
    def do_many(self, /, *calls: Call[S]) -> tuple[Snapshot[S], ...]: ...
    def do_many(self, /, *calls: Call[Any]) -> tuple[Snapshot[Any], ...]:
        """Run several actions, of any states and streams, and append all their events as one commit, or none of them.

            app.do_many(Account.withdraw.at("a", amount=5), Account.deposit.at("b", amount=5))

        Each is done as `do` would do it, in this order; if several are on one stream, the later ones see what the
        earlier ones have done. The commit expects each stream at the version that its action saw, even if the action
        returned nothing. In the log, the events of a stream are next to each other.

        Args:
            calls: the actions, each with its stream and its own arguments.

        Returns:
            the state after each, in their order.

        Raises:
            ConcurrencyError: something else was appended to one of the streams first, more often than the `retries` of
                each of the actions allow.

        All others are those of `do`; a note says which of the calls it is. In each of these cases nothing was appended.
        The exception is `OutcomeUnknownError`.
        """
        if self._expected is not None:
            raise ValidationError("expecting(version) is for `do`: do_many expects what its actions have seen")
        return do_many(self._engine, calls, self._actor, self._key)

    @overload
    def decide(self, decision: Decider1[A, P], first: Seen[A], /, *args: P.args, **kwargs: P.kwargs) -> Decided: ...
    @overload
    def decide(
        self, decision: Decider2[A, B, P], first: Seen[A], second: Seen[B], /, *args: P.args, **kwargs: P.kwargs
    ) -> Decided: ...
    @overload
    def decide(
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
    def decide(
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
    def decide(
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
    def decide(
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
    def decide(self, decision: DecisionFunction[Any], /, *given: Any, **kwargs: Any) -> Decided:
        """Decide on views and states, and append what the decision returns, if nothing that it saw has changed.

            app.decide(enrol, Course.of("maths"), Student.of("ada"))

        Views and states are folded as of now. The decision is called with them and with the arguments that follow them.
        What it returns is appended as one commit: events to the stream of the first view or state (`course-maths` for
        `Course.of("maths")`), `Append`s to the streams that they name. The commit is refused if an event that one of
        the views would have folded, or one of a state's stream, was appended meanwhile; then the decision is made
        again, as often as its `retries` allow.

        Args:
            decision: a function that is decorated with `@decision`.
            given: what it is based on, in the order of its parameters: `View.of(...)` and `at(State, stream)` (type
                checkers can follow one to six of them); then its own arguments.
            kwargs: its own arguments, by name.

        Raises:
            ConflictError: something else was appended first, more often than `retries` allow.
            DefinitionError: the decision, or what it returned, is wrong.
            StreamClosedError: the stream of one of the states takes no more events. A stream that is only appended to
                is not checked for that.
            StoreError: the store could not append.

        In each of these cases, and when the decision itself raises, nothing was appended. The exception is
        `OutcomeUnknownError`, a `StoreError`.
        """
        if self._expected is not None:
            raise ValidationError("expecting(version) is for `do`: a decision expects what it has seen")
        return decide(self._engine, decision, given, kwargs, self._actor, self._key)

    @overload
    def load(
        self,
        state: type[S],
        stream: str,
        *,
        before: int | datetime | None = None,
        at: int | datetime | None = None,
        position: int | None = None,
    ) -> Snapshot[S]: ...
    @overload
    def load(
        self,
        state: Seen[S],
        *,
        before: int | datetime | None = None,
        at: int | datetime | None = None,
        position: int | None = None,
    ) -> Snapshot[S]: ...
    def load(
        self,
        state: type[S] | Seen[S],
        stream: str | None = None,
        *,
        before: int | datetime | None = None,
        at: int | datetime | None = None,
        position: int | None = None,
    ) -> Snapshot[S]:
        """The state of a stream, or a view of a tag, now or at a moment, which you can specify in one of three ways.

            app.load(Account, "account-7", at=3)
            app.load(Course.of("maths"))

        An integer is a version; a datetime is compared with the times of commits. A stream that has no events, or had
        none then, gives the state that `state()` creates, at version 0. The version of a view is the number of events
        that were folded into it, and the `stream` of its snapshot is the tag.

        Args:
            state: one of the app's state classes; or a view, `Course.of("maths")`.
            stream: the stream; none for a view.
            before: just before this version or time, which is not included.
            at: at this version or time, which is included.
            position: in the log as it was when this position was its last.

        Raises:
            ValidationError: the moment is not valid.
            DefinitionError: the state is not the app's.
            DecodeError: an event does not decode.
        """
        if isinstance(state, Seen):
            _check_no_stream("load", stream)
            return self._engine.load_seen(state, before, at, position)
        return self._engine.load(state, cast(str, stream), before, at, position)

    @overload
    def history(
        self, state: type[S], stream: str, *, after: int = 0, before: int | None = None
    ) -> Iterator[Snapshot[S]]: ...
    @overload
    def history(self, state: Seen[S], *, after: int = 0, before: int | None = None) -> Iterator[Snapshot[S]]: ...
    def history(
        self, state: type[S] | Seen[S], stream: str | None = None, *, after: int = 0, before: int | None = None
    ) -> Iterator[Snapshot[S]]:
        """The state after each event of a stream, or of a tag for a view, from the first to the last.

        Args:
            state: one of the app's state classes; or a view, `Course.of("maths")`.
            stream: the stream; none for a view.
            after: start after this version.
            before: end before this version.
        """
        after, before = arguments.count("after", after), arguments.optional_count("before", before)
        if isinstance(state, Seen):
            _check_no_stream("history", stream)
            return self._engine.history_seen(state, after, before)
        return self._engine.history(state, cast(str, stream), after, before)

    def replay(
        self,
        state: type[S],
        *,
        streams: str | None = None,
        at: int | datetime | None = None,
        after: str | None = None,
        progress: Progress | bool = False,
    ) -> Iterator[tuple[str, Snapshot[S]]]:
        """Fold every stream in one pass over the log, and yield each with its state, oldest stream first.

        Streams without any of the state's events are left out. The log is read up to its end at the moment the replay
        begins; later events do not change the answer. Memory holds one group of states at a time, however many there
        are. The replay neither uses nor changes the cache and snapshots. A database is read from its copy on this
        machine, unless you ask for only some streams.

            for stream, snapshot in app.replay(Account):
                print(stream, snapshot.state.balance)

        Args:
            state: one of the app's state classes; or a view, which gives its tags in place of streams. Memory holds
                all views of the class at a time.
            streams: only those whose names match this regular expression anywhere; anchor it yourself with ^ and $.
            at: the log as it was then: when this position was its last, or at this time, included.
            after: only streams created after this one: with the same `at`, an interrupted replay resumes.
            progress: True shows a bar on standard error if that is a terminal; a function is called now and then with
                (events folded, events in all).

        Raises:
            ValidationError: the moment is not valid, or there is no such stream to resume after.
            DefinitionError: the state is not the app's.
            DecodeError: an event does not decode. What was yielded before remains valid.
            FoldError: a declared field cannot take the value that an event gives it.
        """
        if isinstance(state, type) and issubclass(state, View):
            return self._engine.replay_views(state, streams, at, after, progress)
        return self._engine.replay(state, streams, at, after, progress)

    def snapshot(self, state: type[S], stream: str) -> Snapshot[S]:
        """Store a snapshot of the state as it is now, so that loading it replays only later events.

        Raises:
            ValidationError: the stream has no events.
            StreamClosedError: the stream is closed, so there will be no later events.
        """
        return self._engine.save(state, stream)

    @overload
    def query(
        self,
        *,
        events: Sequence[type[E]],
        limit: int | None = None,
        backwards: bool = False,
        **conditions: Unpack[Conditions],
    ) -> Iterator[Committed[E]]: ...
    @overload
    def query(
        self,
        *,
        events: Sequence[type[Event]] | None = None,
        limit: int | None = None,
        backwards: bool = False,
        **conditions: Unpack[Conditions],
    ) -> Iterator[Committed[Event]]: ...
    @spelled_out
    def query(
        self,
        *,
        events: Sequence[type[Event]] | None = None,
        limit: int | None = None,
        backwards: bool = False,
        **conditions: Unpack[Conditions],
    ) -> Iterator[Committed[Any]]:
        """The app's events that meet every condition, in the order of their positions.

        Args:
            events: only those of these classes, including events stored under an older name.
            limit: at most this many.
            backwards: from the last to the first.
            conditions: which events, as `Conditions` lists them.
        """
        return self._engine.query(events, limit=limit, backwards=backwards, **conditions)

    def lookup(self, event: type[E], /, **values: object) -> Iterator[Committed[E]]:
        """The events of a class that hold these values in personal fields, which are declared with `lookup=True`.

            app.lookup(Registered, email="ada@example.org")

        Args:
            event: the event class.
            values: for each field, the value, exactly as it was stored, including upper and lower case.

        Raises:
            ValidationError: a field cannot be looked up.
        """
        from act_fast._app.forgetting import look_up

        return look_up(self._engine, event, values)

    def forget(
        self, subject: str | int | UUID, *, reason: str, also: Sequence[str | os.PathLike[str]] = ()
    ) -> "ForgetReport":
        """Destroy the key of a subject, so that nothing sealed for it can ever be read again, wherever it is.

        From then on, its personal fields read as `FORGOTTEN`, in SQL as NULL. `SubjectForgotten` is appended once. Then
        everything that can be reached is searched for the values that were sealed. Calling it again repeats the search.

        Args:
            subject: the person to forget, as named in the `Subject` fields.
            reason: why; kept with the event and with the destroyed key.
            also: more files and directories to search, such as exports and backups.

        Raises:
            ValidationError: the app has no keys, or an argument is wrong.
            KeyStoreError: the key could not be destroyed. Call it again.
            StoreError: the key is destroyed, but the store could not be read or appended to. Call it again.
        """
        from act_fast._app.forgetting import forget

        return forget(self._engine, self._program.catalog(), subject, reason, also, self._actor)

    def sql(self, query: str, /, *, at: int | datetime | None = None, **params: Any) -> "DuckDBPyRelation":
        """Ask a question in SQL about the log as it is now; returns a DuckDB relation.

            app.sql("select stream, sum(amount) from deposited group by stream").show()

        The relation is computed as you read it. The question may name `events`, `streams`, `targets` and `skipped`; a
        relation for each event class, with a typed column for each of its fields; and one for each state class, which
        holds the states of all streams. `account_at(...)` holds them as they were at a position or a time. Everything
        in one question is as of one position. You cannot join the relations of two calls: use `act_fast.connect` for
        that.

        Args:
            query: one question: a statement that changes nothing.
            at: ask about the log as it was at this position or time.
            params: values for the query's `$name` parameters.

        Raises:
            ValidationError: the statement is not a question, or cannot be answered; or the moment is not valid.
            duckdb.Error: raised by the relation, for errors that only show while its rows are read.
        """
        return self._library.sql(query, params, at)

    def view(self, name: str, query: str, /) -> "ContinuousView":
        """Keep a question answered: a group-by over the events of one class, which is a relation in SQL from now on.

            app.view("per_account", "select stream, count(*) as n, sum(amount) as total from deposited group by stream")
            app.sql("select * from per_account where total > 100").show()

        The answer is kept in memory and, now and then, written beside the log. Reading it takes in what was appended
        since, so it is never behind, and never reads an event twice. A view is part of the program, like a state:
        define it each time the program starts. If the question changes, its answer is counted from the beginning. A
        view replaces an earlier one of the same name.

        Args:
            name: what it is called in SQL.
            query: the question. It groups the events of one event class, or `events`, by columns, with `count`, `sum`,
                `min`, `max` and `avg`; `where` compares columns with constants.

        Raises:
            DefinitionError: it is not valid, or cannot be kept, and the message says what can; or the name is taken.
        """
        from act_fast._app.continuous_view import defined

        return defined(self._engine, lambda: self._library, name, query)

    @property
    def views(self) -> "Mapping[str, ContinuousView]":
        """The questions that are kept answered, by name."""
        from act_fast._app.continuous_view import views_of

        return views_of(self._engine, lambda: self._library)

    def acting(self, actor: Actor) -> Self:
        """The same app, acting in this actor's name."""
        return self._as(_actor=check_actor(actor))

    def expecting(self, version: int) -> Self:
        """The same app, whose `do` fails unless the stream is at this version; it never decides again."""
        return self._as(_expected=arguments.count("version", version))

    def once(self, key: str) -> Self:
        """The same app, whose `do`, `do_many` or `decide` is done only once under this key, however often you call it.

            app.once("f81d4fae").do(Account.deposit, "account-7", amount=50)

        Repeating the request, in this process or another, appends nothing and returns the first answer, even if that
        answer never reached its caller; `repeated` says so. A key is for one request: another action, stream or
        argument under it is a `KeyReusedError`. A request that appends nothing leaves no trace, so it is done again.

        Args:
            key: text of 1 to 508 bytes, without NUL and line breaks, that is unique in the store.
        """
        return self._as(_key=arguments.text("key", key))

    def context(self, *, actor: Actor | None = None, correlation: str | None = None) -> AbstractContextManager[Ambient]:
        """Set an actor and a correlation for everything done inside the `with` block, and by tasks started there.

        An actor named by `acting` takes precedence.
        """
        return within(
            actor=None if actor is None else check_actor(actor),
            correlation=None if correlation is None else arguments.text("correlation", correlation),
        )

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
    def observe(self, kind: Observed, observer: Callable[[Any], object], /) -> None:
        """Call a function for everything of one kind from now on. If it raises, that is logged and has no other effect.

        Args:
            kind: `"committed"`: a `do` has appended; the observer gets its snapshot. `"claimed"`, `"acked"`,
                `"blocked"`: this happened to a target. `"settled"`: `settle` has finished. `"error"`: something went
                wrong that no caller was waiting for; the observer gets a `Failure`.
            observer: called in the thread where it happened, after it has happened.
        """
        self._engine.observers.add(kind, observer)

    def cache_info(self) -> CacheInfo:
        """Hits, misses and size of the cache of live states."""
        return self._engine.cache.info()

    def close(self) -> None:
        """Stop whatever is running, and close the store if the app opened it. Closing again does nothing."""
        self._program.close()
        if self._owned:
            self._engine.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        states = ", ".join(state.__qualname__ for state in self.states)
        return f"{type(self).__name__}({self.store!r}, {states})"

    def _act(self) -> "Act":
        return self

    def _settle_here(self) -> Settled:
        return self.settle()

    @property
    def _components(self) -> Sequence[object]:
        return self._engine.registry.components

    def _as(self, **different: Any) -> Self:
        other = copy.copy(self)
        other.__dict__.update(different)
        return other


def _check_no_stream(verb: str, stream: object) -> None:
    if stream is not None:
        raise ValidationError(f"{verb} takes no stream with a view, since the view names its tag")


def _sealing(keys: "KeyStore", components: tuple[Component, ...]) -> "tuple[Vault, tuple[Component, ...]]":
    """What an app with keys has besides: most have none, and are spared the imports."""
    if not callable(getattr(keys, "unwrap", None)):
        raise ValidationError(f"keys= takes a key store, such as FileKeyStore({str(keys)!r}), not {keys!r}")
    from act_fast._app.forgetting import Forgetting
    from act_fast._privacy.vault import Vault

    return Vault(keys), (*components, Forgetting)
