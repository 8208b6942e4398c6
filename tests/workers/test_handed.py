"""What a reaction is handed is its own: whatever it does to it, nobody else sees it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from act_fast import Act, Actor, Committed, Event, Meta, Projection, Slice, State, batch, on


class Invited(Event):
    names: list[str]


class Address(msgspec.Struct):
    city: str


class Guest(msgspec.Struct, frozen=True):
    tags: set[str]


class Held(Event):
    """An event that holds what can change in every way there is."""

    names: list[str]
    by_day: dict[str, list[str]]
    address: Address
    guests: tuple[Guest, ...]
    anything: Any = None


class Party(State, events=[Invited, Held]):
    names: list[str] = []


class Flat(Event):
    amount: int


class Sums(State, events=[Flat]):
    amount: int = 0


HELD = Held(["ada"], {"mon": ["ada"]}, Address("Rome"), (Guest({"x"}),), {"deep": [1]})


def spoil(event: Committed[Any]) -> None:
    """Change whatever can be changed in an event and in why it happened."""
    data = event.data
    if isinstance(data, Invited | Held):
        data.names.append("eve")
    if isinstance(data, Held):
        data.by_day["mon"].append("eve")
        data.address.city = "Paris"
        data.guests[0].tags.add("y")
        data.anything["deep"].append(2)
    with suppress(TypeError):  # where there is none, nothing can be added
        event.meta.extra["spoiled"] = True
    if event.meta.actor is not None:
        event.meta.actor.extra["spoiled"] = True


def spoiled(event: Committed[Any]) -> bool:
    actor = event.meta.actor
    return (
        "spoiled" in event.meta.extra
        or (actor is not None and "spoiled" in actor.extra)
        or (isinstance(event.data, Invited) and event.data.names != ["ada"])
        or (isinstance(event.data, Held) and event.data != HELD)
    )


@pytest.fixture
def party() -> Act:
    return Act("memory:", Party, Sums)


@pytest.mark.parametrize("event", [Invited(["ada"]), HELD, Flat(1)])
@pytest.mark.parametrize("meta", [None, Meta("c"), Meta("c", extra={"a": [1]})])
def test_two_reactions_on_one_target_see_the_event_as_it_is_in_the_log(
    party: Act, event: Event, meta: Meta | None
) -> None:
    seen: list[Committed[Any]] = []

    def first(event: Committed[Any]) -> None:
        spoil(event)

    def second(event: Committed[Any]) -> None:
        seen.append(event)

    party.on(type(event), to="q")(first)
    party.on(type(event), to="q")(second)
    party.store.append("p", [event, event], meta=meta)
    party.settle()
    assert [each.position for each in seen] == [1, 2]
    assert not any(map(spoiled, seen))


def test_events_of_one_commit_share_nothing_that_can_change(party: Act) -> None:
    kept: list[Committed[Any]] = []

    @party.on(Flat, to="q")
    def keep(event: Committed[Flat]) -> None:
        kept.append(event)
        if event.position == 2:
            spoil(event)

    party.acting(Actor("ada")).store.append("p", [Flat(1)] * 3, meta=Meta("c"))
    party.settle()
    assert [spoiled(each) for each in kept] == [False, True, False]


def test_an_actor_in_the_meta_is_each_handlers_own() -> None:
    from act_fast import action

    class Counter(State, events=[Flat]):
        @action
        def add(self) -> list[Flat]:
            return [Flat(1), Flat(2)]

    seen: list[bool] = []

    def first(event: Committed[Flat]) -> None:
        seen.append(spoiled(event))
        spoil(event)

    def second(event: Committed[Flat]) -> None:
        seen.append(spoiled(event))

    with Act("memory:", Counter) as app:
        app.on(Flat, to="q")(first)
        app.on(Flat, to="q")(second)
        app.acting(Actor("ada", extra={"role": "guest"})).do(Counter.add, "c")
        app.settle()
    assert seen == [False] * 4


def test_what_a_resolver_does_to_an_event_stays_with_the_resolver(party: Act) -> None:
    seen: list[Committed[Any]] = []

    def finds(event: Committed[Any]) -> str:
        spoil(event)
        return "q"

    party.on(Invited, to=finds, name="one")(seen.append)
    party.on(Invited, to=finds, name="two")(seen.append)
    party.store.append("p", [Invited(["ada"])], meta=Meta("c"))
    party.settle()
    assert len(seen) == 2
    assert not any(map(spoiled, seen))


@pytest.mark.parametrize("as_batch", [False, True])
def test_what_defer_does_to_an_event_stays_with_defer(as_batch: bool) -> None:
    seen: list[Committed[Any]] = []
    asked: list[bool] = []

    def at_once(event: Committed[Any]) -> datetime:
        asked.append(spoiled(event))
        spoil(event)
        return datetime(2000, 1, 1, tzinfo=UTC)

    with Act("memory:", Party) as app:
        if as_batch:
            from act_fast._reactions.reaction import reaction_of

            app._declare(reaction_of(seen.extend, [Invited], to="q", name="one", batch=True, defer=at_once))
        else:
            app.on(Invited, to="q", name="one", defer=at_once)(seen.append)
            app.on(Invited, to="q", name="two", defer=at_once)(seen.append)
        app.on(Invited, to="q", name="three", defer=timedelta(0))(seen.append)
        app.store.append("p", [Invited(["ada"])] * 2, meta=Meta("c"))
        app.settle()
    assert seen
    assert asked
    assert not any(asked)
    assert not any(map(spoiled, seen))


def test_an_async_handler_and_a_plain_one_on_one_target_share_nothing(party: Act) -> None:
    seen: list[Committed[Any]] = []

    async def first(event: Committed[Any]) -> None:
        spoil(event)

    def second(event: Committed[Any]) -> None:
        seen.append(event)
        spoil(event)

    async def third(event: Committed[Any]) -> None:
        assert not spoiled(event)
        seen.append(event)

    for handler in (first, second, third):
        party.on(Held, to="q")(handler)
    party.store.append("p", [HELD])
    party.settle()
    assert len(seen) == 2
    assert not spoiled(seen[1])


class Spoils(Projection):
    @on(Held)
    def held(self, event: Committed[Held]) -> None:
        spoil(event)

    @batch(Invited)
    def invited(self, events: list[Committed[Invited]]) -> None:
        for event in events:
            spoil(event)
        events.clear()


def test_what_a_batch_does_to_its_list_and_events_stays_with_it() -> None:
    seen: list[Committed[Any]] = []
    fellow = Slice(Party)
    fellow.on(Invited, Held, to="Spoils", name="fellow")(seen.append)
    with Act("memory:", Spoils(), fellow) as app:
        app.store.append("p", [Invited(["ada"]), HELD, Invited(["ada"])], meta=Meta("c"))
        app.settle()
    assert [each.position for each in seen] == [1, 2, 3]
    assert not any(map(spoiled, seen))


def test_a_retry_is_given_the_event_as_it_is_in_the_log(party: Act) -> None:
    seen: list[bool] = []

    @party.on(Held, to="q", backoff=0)
    def fails_once(event: Committed[Held]) -> None:
        seen.append(spoiled(event))
        spoil(event)
        if len(seen) == 1:
            raise ValueError

    party.store.append("p", [HELD], meta=Meta("c"))
    while not party.settle().drained.handled:
        pass
    assert seen == [False, False]


@pytest.mark.parametrize(
    "read", [lambda app: app.query(), lambda app: app.store.query(), lambda app: app.store.load("p")]
)
def test_queried_events_that_are_kept_share_nothing(party: Act, read: Callable[[Act], Any]) -> None:
    for meta in (None, Meta("c"), Meta("c", extra={"a": 1})):
        party.store.append("p", [Flat(1)] * 3, meta=meta)
    kept = list(read(party))
    for each in kept[::2]:
        spoil(each)
    assert [spoiled(each) for each in kept] == [index % 2 == 0 and index > 2 for index in range(9)]
    assert not any(map(spoiled, read(party)))
