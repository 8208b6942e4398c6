"""A question that is asked again is not parsed again; its answer, and what is refused, are what they were."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, LogStore, connect
from act_fast._sql import question
from act_fast.errors import ValidationError
from tests.support.bank import Account

ASKED: list[tuple[str, dict[str, Any]]] = [
    ("select stream, amount from deposited order by position", {}),
    ("SELECT stream, amount FROM deposited ORDER BY position ;", {}),
    ("-- a comment\nselect amount from deposited /* another */ order by 1 -- and one more", {}),
    ("from deposited select amount order by position", {}),
    ("select amount + $more as more from deposited where stream = $stream", {"more": 1, "stream": "account-1"}),
    ("select amount + $more as more from deposited where stream = $stream", {"more": 2.5, "stream": "account-2"}),
    ("with few as (from deposited where position < 5) select count(*) from few", {}),
    ("select position from events order by position desc limit 2", {}),
    ("select position from events order by position desc limit $most", {"most": 1}),
    ("select 'insert; delete' as \"update\" from deposited limit 1", {}),
    ("pivot deposited on stream in ('account-1') using sum(amount) order by position", {}),
    ("describe deposited", {}),
    ("select a from deposited where stream = 'account-1' group by amount as a", {}),
]


def deposit(store: LogStore, count: int) -> None:
    for number in range(count):
        store.append(f"account-{number % 3}", [("Deposited", b'{"amount":%d}' % number)])


@pytest.fixture
def app(store_path: Path) -> Iterator[Act]:
    with LogStore(store_path, durability="os") as store, Act(store, Account) as opened:
        deposit(store, 6)
        yield opened


def told(app: Act, query: str, params: dict[str, Any]) -> tuple[object, ...]:
    try:
        answer = app.sql(query, **params)
    except ValidationError as error:
        return (str(error),)
    return answer.columns, answer.types, answer.fetchall(), answer.sql_query()


@pytest.mark.parametrize(("query", "params"), ASKED)
def test_the_answer_is_the_same(app: Act, query: str, params: dict[str, Any]) -> None:
    question._sound.clear()
    first = told(app, query, params)
    assert told(app, query, params) == first
    deposit(app.store, 3)  # type: ignore[arg-type]
    later = told(app, query, params)
    question._sound.clear()
    assert told(app, query, params) == later
    with connect(app) as connection:
        if len(first) > 1:
            assert connection.sql(query, **params).fetchall() == later[2]


def test_it_is_known_as_it_was_parsed(app: Act) -> None:
    query = "select count(*) from deposited"
    question._sound.clear()
    for _ in range(2):
        assert app.sql(query).fetchall() == [(6,)]
        assert list(question._sound) == [query]
    with pytest.raises(ValidationError):
        app.sql("select 1; select 2")
    with pytest.raises(ValidationError):
        app.sql("create table made (one int)")
    app.sql(f"explain {query}").fetchall()
    assert list(question._sound) == [query]


def test_one_that_is_known_is_checked_where_files_can_be_reached(app: Act) -> None:
    query = "select * from query('select 1')"
    for _ in range(2):
        assert app.sql(query).fetchall() == [(1,)]
        with connect(app, files=True) as connection, pytest.raises(ValidationError, match="files=True"):
            connection.sql(query)


def test_no_more_are_known_than_there_is_room_for(app: Act) -> None:
    for number in range(question._KNOWN_MAX + 10):
        app.sql(f"select {number}")
    assert 0 < len(question._sound) <= question._KNOWN_MAX
    long = f"select '{'x' * question._KNOWN_CHARACTERS_MAX}' as long"
    assert len(app.sql(long).fetchall()) == 1
    assert long not in question._sound


def test_threads_ask_the_same_at_once(app: Act) -> None:
    query = "select count(*), sum(amount)::bigint from deposited where position > $after"

    def ask(after: int) -> list[tuple[int, int]]:
        return [app.sql(query, after=after).fetchall()[0] for _ in range(30)]

    with ThreadPoolExecutor(4) as threads:
        for after, found in zip(range(5), threads.map(ask, range(5)), strict=True):
            assert found == [(6 - after, sum(range(after, 6)))] * 30
