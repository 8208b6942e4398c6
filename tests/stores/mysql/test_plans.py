"""What the database does for each question, counted: an index leads to what is asked for."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from act_fast import Append, Meta, Query
from act_fast.stores.mysql.connections import Connection, run
from act_fast.stores.mysql.store import MySqlStore
from tests.support.mariadb import MariaDbServer

STREAMS, TURNS = 300, 40
MOMENT = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(mariadb: MariaDbServer) -> Iterator[MySqlStore]:
    """A store with 12,000 events, of which one in a thousand is rare, and with statistics of them."""
    with MySqlStore(mariadb.url(prefix="plans")) as store:
        for turn in range(TURNS if store.head == 0 else 0):
            name = "Rare" if turn % 10 == 0 else "Common"
            parts = [Append(f"s-{number}", [("Common", b'{"a":1}', ["all"])]) for number in range(STREAMS - 1)]
            rare = ["rare", "all"] if name == "Rare" else ["all"]
            store.append_many([*parts, Append("s-last", [(name, b"1", rare)])], meta=Meta(correlation=f"r-{turn}"))
        for table in ("events", "streams", "tags"):
            mariadb.ask(f"analyze table test.plans_{table}")
        yield store


def rows_read(store: MySqlStore, use: Callable[[MySqlStore], object]) -> int:
    """How many rows and index entries the server looks at for it."""
    connection = store._connections.new()
    store._connections._idle[:] = [connection]
    before = read_so_far(connection)
    use(store)
    assert store._connections._idle == [connection]
    return read_so_far(connection) - before


def read_so_far(connection: Connection) -> int:
    """How many rows and index entries a session has looked at. That it is asked does not count."""
    return sum(int(value) for _, value in run(connection, "show session status like 'handler_read%%'")[-1])


CASES: dict[str, tuple[Callable[[MySqlStore], object], int]] = {
    "load": (lambda store: list(store.load("s-7")), TURNS),
    "load the end": (lambda store: list(store.load("s-7", after=TURNS - 1)), 1),
    "query a stream": (lambda store: list(store.query(stream="s-7", limit=3)), 3),
    "query a stream behind a position": (lambda store: list(store.query(stream="s-7", after=11_000, limit=3)), 120),
    "query a stream backwards": (lambda store: list(store.query(stream="s-7", backwards=True, limit=1)), 1),
    "query a rare name": (lambda store: list(store.query(names=["Rare"])), TURNS // 10),
    "query names": (lambda store: list(store.query(names=["Rare", "Common"], limit=10)), 60),
    "query names backwards": (lambda store: list(store.query(names=["Rare", "Common"], limit=10, backwards=True)), 60),
    "query a correlation": (lambda store: list(store.query(correlation="r-3")), STREAMS),
    "query the last": (lambda store: list(store.query(backwards=True, limit=1)), 1),
    "query a rare tag": (lambda store: list(store.query(tags=["rare"])), TURNS // 2),
    "query tags": (lambda store: list(store.query(tags=["all", "rare"], names=["Rare"])), TURNS),
    "query a tag's last": (lambda store: list(store.query(tags=["all"], backwards=True, limit=1)), 8),
    "query items": (
        lambda store: list(store.query(matching=Query.of(tags=["rare"]) | Query.of(names=["Rare"]))),
        2 * TURNS,
    ),
    "query behind a position": (lambda store: list(store.query(after=11_990)), 10),
    "query behind a moment": (lambda store: list(store.query(created_after=MOMENT, limit=5)), 120),
    "version": (lambda store: store.version("s-7"), 1),
    "streams": (lambda store: list(store.streams(after="s-200", limit=5)), 6),
    "snapshot": (lambda store: store.latest_snapshot("s-7"), 1),
}
SLACK = 16
"""The row of `log`, an entry that tells that there are no more, and asking how many there were."""


@pytest.mark.parametrize("case", list(CASES))
def test_no_more_is_read_than_is_asked_for(store: MySqlStore, case: str) -> None:
    use, rows_max = CASES[case]
    assert rows_read(store, use) <= rows_max + SLACK
