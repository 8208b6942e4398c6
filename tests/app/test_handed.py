"""What rules, actions, observers and predicates are handed is their own: what they do to it, no one else sees."""

from typing import Any

import msgspec
import pytest

from act_fast import (
    Act,
    Actor,
    ConcurrencyError,
    DefinitionError,
    Event,
    Failure,
    LogStore,
    Snapshot,
    State,
    action,
    invariant,
    upcast,
)


class Listed(Event):
    names: list[str]


class Names(State, events=[Listed]):
    names: list[str] = []

    @action
    def add(self, name: str) -> Listed:
        return Listed([*self.names, name])


def test_each_observer_has_a_snapshot_of_its_own() -> None:
    seen: list[list[str]] = []

    def spoils(snapshot: Snapshot[Any]) -> None:
        seen.append(list(snapshot.state.names))
        snapshot.state.names.append("eve")

    with Act("memory:", Names) as app:
        app.observe("committed", spoils)
        app.observe("committed", spoils)
        assert app.do(Names.add, "n", name="ada").state.names == ["ada"]
        assert app.load(Names, "n").state.names == ["ada"]
    assert seen == [["ada"], ["ada"]]


def test_a_snapshot_predicate_has_a_snapshot_of_its_own() -> None:
    def spoils(snapshot: Snapshot[Any]) -> bool:
        snapshot.state.names.append("eve")
        return True

    class Spoiled(State, events=[Listed], snapshot_when=spoils):
        names: list[str] = []

        @action
        def add(self, name: str) -> Listed:
            return Listed([*self.names, name])

    with LogStore.memory() as store:
        assert Act(store, Spoiled).do(Spoiled.add, "n", name="ada").state.names == ["ada"]
        assert Act(store, Spoiled).load(Spoiled, "n").state.names == ["ada"]


def test_a_rule_that_changes_the_state_changes_nothing_for_the_next_rule_and_the_action() -> None:
    class Counted(Event):
        total: int
        names: list[str]

    class Counter(State, events=[Counted]):
        total: int = 0
        names: list[str] = []

        @invariant("first", always=True)
        def first(self) -> bool:
            self.total += 100
            self.names.append("eve")
            return True

        @invariant("second", always=True)
        def second(self) -> bool:
            return self.total < 100 and not self.names

        @action
        def count(self) -> Counted:
            return Counted(self.total + 1, self.names)

    with Act("memory:", Counter) as app:
        state = app.do(Counter.count, "c").state
        assert (state.total, state.names) == (1, [])


def test_an_actor_is_copied_where_it_is_handed_over() -> None:
    class Done(Event):
        role: str

    class Roles(State, events=[Done]):
        role: str = ""

        @invariant("spoils the actor", always=True)
        def spoils(self, actor: Actor | None) -> bool:
            assert actor is not None
            fine = actor.extra == {"roles": ["guest"]}
            actor.extra["roles"].append("admin")
            return fine

        @action
        def act(self) -> Done:
            return Done("guest")

    actor = Actor("ada", extra={"roles": ["guest"]})
    with Act("memory:", Roles) as app:
        acting = app.acting(actor)
        actor.extra["roles"] = ["admin"]
        for _ in range(2):
            found = acting.do(Roles.act, "r").meta.actor
            assert found is not None
            assert found.extra == {"roles": ["guest"]}


class Line(msgspec.Struct):
    text: str


class Written(Event):
    lines: list[Any]


class Poem(State, events=[Written]):
    lines: list[Any] = []

    @action(retries=3)
    def write(self, lines: list[str], more: Any = None, last: Line | None = None) -> Written:
        taken = [lines.pop(), *(more or [])]
        if more:
            more.clear()
        if last is not None:
            taken.append(last.text)
            last.text = ""
        return Written(taken)


class Racing:
    """A store in which somebody else is faster, once."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._races = 1
        self.load, self.version, self.latest_snapshot = store.load, store.version, store.latest_snapshot

    def append(self, stream: str, *args: Any, **kwargs: Any) -> Any:
        if self._races:
            self._races -= 1
            self._store.append(stream, [Written(["faster"])])
        return self._store.append(stream, *args, **kwargs)


def test_deciding_again_is_given_the_arguments_that_the_caller_gave() -> None:
    lines, more, last = ["one", "two"], ["three"], Line("four")
    with LogStore.memory() as store:
        racing: Any = Racing(store)
        done = Act(racing, Poem).do(Poem.write, "p", lines=lines, more=more, last=last)
        assert done.version == 2
        assert done.state.lines == ["two", "three", "four"]
    assert (lines, more, last) == (["one", "two"], ["three"], Line("four")), "the caller's own stay as they are"


@pytest.mark.parametrize("streams", [["another"], ["p", "another"], ["p", "p", "another"]])
def test_a_conflict_of_another_stream_is_not_retried(streams: list[str]) -> None:
    tries: list[int] = []

    class Meddling:
        def __init__(self, store: LogStore) -> None:
            self.load, self.version, self.latest_snapshot = store.load, store.version, store.latest_snapshot

        def append(self, *args: Any, **kwargs: Any) -> Any:
            tries.append(1)
            raise ConcurrencyError(streams[len(tries) - 1], 1, 2)

    with LogStore.memory() as store:
        meddling: Any = Meddling(store)
        with pytest.raises(ConcurrencyError, match="another"):
            Act(meddling, Poem).do(Poem.write, "p", lines=["one"])
    assert len(tries) == len(streams)


@pytest.mark.parametrize("kept", [True, False])
def test_what_an_upcaster_is_given_and_gives_is_nobody_elses(kept: bool) -> None:
    shared: list[str] = []
    given: list[dict[str, Any]] = []

    class Named(Event, name="Named_v2"):
        names: list[str]

        @upcast(from_="Named")
        @staticmethod
        def from_first(old: dict[str, Any]) -> dict[str, Any]:
            given.append(old)
            old["names"].append("eve")
            return {"names": shared} if kept else {"names": old["names"][:1]}

    class Parade(State, events=[Named]):
        names: list[str] = []

    with LogStore.memory() as store:
        store.append("p", [("Named", b'{"names":["ada"]}')] * 2)
        app = Act(store, Parade)
        first, second = app.query()
        first.data.names.append("mallory")
        assert second.data.names == ([] if kept else ["ada"])
        app.load(Parade, "p").state.names.append("mallory")
        assert app.load(Parade, "p").state.names == ([] if kept else ["ada"])
    assert shared == []
    assert all(each == {"names": ["ada", "eve"]} for each in given)


def test_each_snapshot_of_a_history_is_a_state_of_its_own() -> None:
    with Act("memory:", Names) as app:
        app.do(Names.add, "n", name="ada")
        app.do(Names.add, "n", name="bob")
        history = list(app.history(Names, "n"))
        for each in history:
            each.state.names.append("eve")
        assert [each.state.names for each in history] == [["ada", "eve"], ["ada", "bob", "eve"]]
        assert [each.state.names for each in app.history(Names, "n")] == [["ada"], ["ada", "bob"]]
        assert app.load(Names, "n", at=1).state.names == ["ada"]
        assert app.load(Names, "n").state.names == ["ada", "bob"]


class Money(msgspec.Struct, frozen=True):
    tags: list[str] = []


@pytest.mark.parametrize(
    ("kind", "default"),
    [(Money, Money()), (tuple[list[int], ...], ([],)), (Any, Money()), (dict[str, Any], {})],
)
def test_a_default_that_can_change_inside_is_refused(kind: Any, default: Any) -> None:
    def event() -> type[Event]:
        return type(Event)("Priced", (Event,), {"__annotations__": {"money": kind}, "money": default})

    def state() -> type[State]:
        return type(State)("Prices", (State,), {"__annotations__": {"money": kind}, "money": default})

    if default == {}:
        event()
        state()
        return
    for make in (event, state):
        with pytest.raises(DefinitionError, match=r"\.money has a mutable default, .*default_factory"):
            make()


def test_async_observers_and_predicates_are_refused_since_nobody_would_run_them() -> None:
    async def waits(snapshot: Snapshot[Any]) -> None: ...

    def yields(snapshot: Snapshot[Any]) -> Any:
        yield snapshot

    with Act("memory:", Names) as app:
        for observer in (waits, yields):
            with pytest.raises(Exception, match="would not run; write it as a plain `def`"):
                app.observe("committed", observer)
        failures: list[Failure] = []
        app.observe("error", failures.append)
        app.observe("committed", lambda snapshot: waits(snapshot))
        app.do(Names.add, "n", name="ada")
        assert "returned a coroutine" in str(failures[0].error)
    for predicate in (waits, yields):
        with pytest.raises(DefinitionError, match="snapshot_when= must be a plain function"):
            type(State)("Odd", (State,), {}, snapshot_when=predicate)


def test_an_observer_that_raises_whatever_it_likes_harms_nothing() -> None:
    import asyncio

    class Gone(BaseException):
        pass

    raised: list[BaseException] = [Gone(), SystemExit(1), asyncio.CancelledError(), GeneratorExit(), StopIteration()]
    told: list[int] = []

    def raises(snapshot: Snapshot[Any]) -> None:
        raise raised[snapshot.version - 1]

    with Act("memory:", Names) as app:
        app.observe("committed", raises)
        app.observe("committed", lambda snapshot: told.append(snapshot.version))
        for _ in raised:
            app.do(Names.add, "n", name="ada")
    assert told == [1, 2, 3, 4, 5]
