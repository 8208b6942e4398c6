"""What the database does for each question, looked at: an index leads to what is asked for."""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import psycopg
import pytest

from act_fast import Append, Meta, Query
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.connections import Connections, Question
from act_fast.stores.postgres.store import PostgresStore
from tests.support.servers import PostgresServer

STREAMS, TURNS = 300, 40

Plan: TypeAlias = dict[str, Any]
Explained: TypeAlias = Callable[[Callable[[PostgresStore], object]], list[tuple[str, Plan]]]


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """A store with 12,000 events, of which one in a thousand is rare, and with statistics of them."""
    url = postgres.url(schema="plans")
    with PostgresStore(url) as store:
        for turn in range(TURNS if store.head == 0 else 0):
            name = "Rare" if turn % 10 == 0 else "Common"
            parts = [Append(f"s-{number}", [("Common", b'{"a":1}', ["all"])]) for number in range(STREAMS - 1)]
            rare = ["rare", "all"] if name == "Rare" else ["all"]
            store.append_many([*parts, Append("s-last", [(name, b"1", rare)])], meta=Meta(correlation=f"r-{turn}"))
    with psycopg.connect(place_of(url).conninfo, autocommit=True) as connection:
        connection.execute("analyze plans.events")
        connection.execute("analyze plans.streams")
        connection.execute("analyze plans.tags")
    return url


@pytest.fixture
def explained(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Explained]:
    """Does something with the store, and gives each statement of it with the plan that was followed."""
    with PostgresStore(url) as store:

        def explain(use: Callable[[PostgresStore], object]) -> list[tuple[str, Plan]]:
            seen: list[tuple[str, Plan]] = []
            real = Connections.fetch

            def fetch(self: Connections, question: Question, given: Any = ()) -> list[tuple[Any, ...]]:
                explaining = Question(b"explain (analyze, format json, timing off) " + question.text)
                ((plan,),) = real(self, explaining, given)
                found = json.loads(plan) if isinstance(plan, str) else plan
                seen.append((question.text.decode(), found[0]["Plan"]))
                return real(self, question, given)

            with monkeypatch.context() as patched:
                patched.setattr(Connections, "fetch", fetch)
                use(store)
            return seen

        yield explain


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for each in plan.get("Plans", []):
        yield from nodes(each)


def rows_read(plan: Plan, table: str) -> int:
    """How many rows were fetched from a table, those that were thrown away again included."""
    return sum(
        int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(plan)
        if node.get("Relation Name") == table
    )


CASES: dict[str, tuple[Callable[[PostgresStore], object], int]] = {
    "load": (lambda store: list(store.load("s-7")), TURNS),
    "load the end": (lambda store: list(store.load("s-7", after=TURNS - 1)), 1),
    "query a stream": (lambda store: list(store.query(stream="s-7", limit=3)), 3),
    "query a stream behind a position": (lambda store: list(store.query(stream="s-7", after=11_000, limit=3)), 3),
    "query a stream backwards": (lambda store: list(store.query(stream="s-7", backwards=True, limit=1)), 1),
    "query a rare name": (lambda store: list(store.query(names=["Rare"])), TURNS // 10),
    "query names": (lambda store: list(store.query(names=["Rare", "Common"], limit=10)), 20),
    "query names backwards": (lambda store: list(store.query(names=["Rare", "Common"], limit=10, backwards=True)), 20),
    "query a correlation": (lambda store: list(store.query(correlation="r-3")), STREAMS),
    "query the last": (lambda store: list(store.query(backwards=True, limit=1)), 1),
    "query a rare tag": (lambda store: list(store.query(tags=["rare"])), TURNS // 10),
    "query tags": (lambda store: list(store.query(tags=["all", "rare"], names=["Rare"])), TURNS // 5),
    "query a tag's last": (lambda store: list(store.query(tags=["all"], backwards=True, limit=1)), 1),
    "query items": (
        lambda store: list(store.query(matching=Query.of(tags=["rare"]) | Query.of(names=["Rare"]))),
        TURNS // 5,
    ),
    "query behind a position": (lambda store: list(store.query(after=11_990)), 10),
}


@pytest.mark.parametrize("case", list(CASES))
def test_no_more_events_are_read_than_are_asked_for(explained: Explained, case: str) -> None:
    use, rows_max = CASES[case]
    seen = explained(use)
    assert any(".events" in statement.replace('"', "") for statement, _ in seen)
    for statement, plan in seen:
        assert rows_read(plan, "events") <= rows_max, (statement, plan)


def test_streams_and_versions_are_found_by_their_indexes(explained: Explained) -> None:
    for use in (lambda store: store.version("s-7"), lambda store: list(store.streams(after="s-200", limit=5))):
        for statement, plan in explained(use):
            assert rows_read(plan, "streams") <= 5, (statement, plan)
