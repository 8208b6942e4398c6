"""What pages cost: it does not grow with the store. Work is counted, since a clock says something else each time."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from act_fast import Act, Committed, Event, LogStore, Meta, State
from act_fast._reactions.targets import targets
from act_fast.inspector import tally as counting
from act_fast.inspector.guard import Access, Guard
from act_fast.inspector.pages import application
from act_fast.inspector.searching import Wanted, newer, older
from act_fast.inspector.subject import open_subject
from act_fast.inspector.tally import Tally, tally_of
from act_fast.stores.reaction_port import ReactionPort, reactions_of
from tests.inspector.conftest import BASE, TOKEN

VIEWS = (
    *("/", "/log", "/log?name=Sold", "/log?stream=hot", "/event?position=9", "/streams", "/stream?name=hot"),
    *("/stream?name=hot&version=30", "/correlation?id=c5&near=5", "/targets", "/target?name=mail-till-7", "/blocked"),
    *("/timers", "/model", "/storage", "/?at=40", "/log?before=60", "/targets?pattern=till"),
)


class Sold(Event):
    amount: int


class Till(State, events=[Sold]):
    amount: int = 0


class Counted:
    """A store, or what it keeps of reactions, that counts what is read of it."""

    def __init__(self, inner: Any, read: list[str]) -> None:
        self._inner = inner
        self._read = read

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in ("query", "load", "streams"):
            return lambda *args, **options: self._each(name, found(*args, **options))
        if name == "targets":
            return lambda *args, **options: [*self._each(name, iter(found(*args, **options)))]
        if name == "reactions":
            return lambda: Counted(found(), self._read)
        return found

    def _each(self, name: str, rows: Iterator[Any]) -> Iterator[Any]:
        for row in rows:
            self._read.append(name)
            yield row


def till_of(size: int) -> LogStore:
    """A store with a busy stream, many quiet ones, and a target for each of them."""
    store = LogStore.memory()
    app = Act(store, Till)

    @app.on(Sold, to="mail-{stream}", name="mail", retries=0)
    def mail(event: Committed[Sold]) -> None:
        raise ValueError("no mail today")

    for number in range(size):
        store.append(f"till-{number}", [Sold(number)], meta=Meta(correlation=f"c{number}"))
    store.append("hot", [Sold(1)] * size)
    app.settle()
    app.close()
    return store


def read_by_pages(size: int) -> dict[str, int]:
    read: list[str] = []
    with till_of(size) as store:
        subject = open_subject(Counted(store, read), write=False, audit=None)
        client = TestClient(Guard(application(subject, False, "full"), Access(TOKEN, once=False)), base_url=BASE)
        assert client.get("/", params={"token": TOKEN}).status_code == 200
        found = {}
        for view in VIEWS:
            read.clear()
            subject.tallies.forget()
            assert client.get(view).status_code == 200
            found[view] = len(read)
    return found


def test_no_page_reads_more_of_a_larger_store() -> None:
    small, large = read_by_pages(150), read_by_pages(1500)
    assert small == large
    assert max(large.values()) <= 250


def test_a_search_for_what_is_rare_stops_and_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("act_fast.inspector.searching._WINDOW", 10)
    monkeypatch.setattr("act_fast.inspector.searching._GROWTH", 1)
    monkeypatch.setattr("act_fast.inspector.searching._SECONDS", -1.0)
    with till_of(50) as store:
        wanted = Wanted(correlation="c3")
        found, before, rounds = older(store, wanted, store.head + 1, 5), store.head + 1, 1
        while found.reached is not None and not found.events:
            assert found.reached == before - 10
            before, rounds = found.reached, rounds + 1
            found = older(store, wanted, before, 5)
        assert [each.position for each in found.events] == [4]
        assert rounds == 10
        ahead = newer(store, wanted, 0, 5, store.head + 1)
        assert ([each.position for each in ahead.events], ahead.reached) == ([4], 10)


def test_a_search_finds_all_there_is_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("act_fast.inspector.searching._WINDOW", 7)
    with till_of(60) as store:
        wanted = Wanted(pattern="till-[0-9]*3$")
        expected = [each.position for each in store.query(pattern=wanted.pattern)]
        assert [each.position for each in newer(store, wanted, 0, 99, store.head + 1).events] == expected
        assert [each.position for each in older(store, wanted, store.head + 1, 99).events] == expected[::-1]
        assert older(store, wanted, store.head + 1, len(expected)).more is False
        assert older(store, wanted, store.head + 1, len(expected) - 1).more is True


class OneByOne:
    """What a store keeps of reactions, if it could not add targets up by itself."""

    def __init__(self, port: ReactionPort) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        if name == "tally":
            raise AttributeError(name)
        return getattr(self._port, name)


@pytest.mark.parametrize("seed", range(8))
def test_the_core_adds_targets_up_as_they_are_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_STRETCH", 7)
    chance = random.Random(seed)
    with LogStore.memory() as store:
        app = Act(store, Till)

        @app.on(Sold, to="mail-{stream}", name="mail", retries=0)
        def mail(event: Committed[Sold]) -> None:
            if event.data.amount % 5 == 0:
                raise ValueError("no mail today")

        @app.on(Sold, to="mail-{stream}" if seed % 2 else "books", name="books")
        def books(event: Committed[Sold]) -> None: ...

        @app.on(Sold, to=lambda event: f"held-{10 // event.data.amount}", name="held", retries=0)
        def held(event: Committed[Sold]) -> None: ...

        for _ in range(chance.randrange(1, 6)):
            for _ in range(chance.randrange(20)):
                store.append(f"till-{chance.randrange(12)}", [Sold(chance.randrange(0 if seed > 5 else 1, 30))])
            match chance.randrange(4):
                case 0:
                    app.settle()
                case 1:
                    app.correlate()
                case 2:
                    app.drain(limit=3)
                case _:
                    app.defer(pattern="[0-4]$", until=chance_moment())
        for port in (app._program.port(), reactions_of(store)):
            assert told(tally_of(port, store.head)) == told(tally_of(OneByOne(port), store.head))  # type: ignore[arg-type]
            assert tally_of(port, store.head).total == len([*targets(port)])
        app.close()


def chance_moment() -> Any:
    from datetime import UTC, datetime

    return datetime.max.replace(tzinfo=UTC)


def told(tally: Tally) -> dict[str, Any]:
    found = {name: getattr(tally, name) for name in tally.__struct_fields__ if name not in ("worst", "by_reaction")}
    found["by_reaction"] = {name: +counts for name, counts in tally.by_reaction.items()}
    found["worst"] = [(each.blocked, each.lag) for each in tally.worst]
    return found
