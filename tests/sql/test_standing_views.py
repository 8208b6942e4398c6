"""Questions find what has settled in place: views stand for all of them, as long as nothing has moved."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from act_fast import Act, LogStore
from act_fast._sql.duckdb_database import new_session
from act_fast._sql.parts import background
from act_fast._sql.parts.attached import Attached
from act_fast._sql.parts.background import builds
from tests.support.bank import Account

STEP = 200
COUNT = "select count(*), sum(amount)::bigint, max(position) from deposited"
BOTH = "select (select count(*) from deposited), (select count(*) from withdrawn)"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", STEP)


@pytest.fixture
def app(store_path: Path) -> Iterator[Act]:
    with Act(LogStore(store_path, durability="os"), Account) as opened:
        yield opened
    opened.store.close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The relations that views were made of, one after another."""
    found: list[str] = []
    make = Attached._make

    def watched(attached: Attached, connection: Any, name: str, *arguments: Any) -> Any:
        found.append(name)
        return make(attached, connection, name, *arguments)

    monkeypatch.setattr(Attached, "_make", watched)
    return found


def deposit(app: Act, count: int) -> None:
    for number in range(count):
        events = [("Deposited", b'{"amount":%d}' % number), ("Withdrawn", b'{"amount":1}')]
        app.store.append(f"account-{number % 7}", events)


def settle(app: Act) -> None:
    for query in (COUNT, BOTH):
        app.sql(query).fetchall()
        assert builds.wait()


def expected(app: Act) -> tuple[int, int, int]:
    found = [event for event in app.query() if event.name == "Deposited"]
    return len(found), sum(event.data.amount for event in found), max(event.position for event in found)  # type: ignore[attr-defined]


def schemas(app: Act) -> list[str]:
    asked = "select schema_name from duckdb_schemas() where schema_name like 'settled_%'"
    return [name for (name,) in new_session(app._library).execute(asked).fetchall()]


def test_a_view_is_made_once_as_long_as_nothing_has_moved(app: Act, made: list[str]) -> None:
    deposit(app, STEP)
    settle(app)
    for _ in range(3):
        assert app.sql(COUNT).fetchall() == [expected(app)]
        assert app.sql(BOTH).fetchall() == [(STEP, STEP)]
    assert sorted(made) == ["Deposited", "Withdrawn"]
    app.store.append("elsewhere", [("Other", b"{}")])
    assert app.sql(COUNT).fetchall() == [expected(app)], "of it, nothing has moved"
    assert sorted(made) == ["Deposited", "Withdrawn"]
    deposit(app, STEP)
    assert app.sql(COUNT).fetchall() == [expected(app)], "some of it is read from the log"
    assert sorted(made) == ["Deposited", "Withdrawn"]
    settle(app)
    assert app.sql(COUNT).fetchall() == [expected(app)]
    assert sorted(made) == ["Deposited", "Deposited", "Withdrawn"]


def test_an_answer_that_is_read_late_is_as_of_its_own_cut(app: Act) -> None:
    deposit(app, STEP)
    settle(app)
    first, right = app.sql(COUNT), expected(app)
    both, filtered = app.sql(BOTH), first.filter("true")
    for _ in range(3):
        deposit(app, STEP)
        settle(app)
        assert app.sql(COUNT).fetchall() == [expected(app)]
    assert first.fetchall() == filtered.fetchall() == [right]
    assert both.fetchall() == [(STEP, STEP)]


def test_views_that_nobody_has_any_more_go(app: Act) -> None:
    for _ in range(5):
        deposit(app, STEP)
        settle(app)
        app.sql(BOTH).fetchall()
    assert len(schemas(app)) == 2
    kept = app.sql(BOTH)
    deposit(app, 4 * STEP)
    settle(app)
    app.sql(BOTH).fetchall()
    assert len(schemas(app)) == 4
    assert kept.fetchall() == [(5 * STEP, 5 * STEP)]


def test_questions_about_the_past_and_about_what_there_is_are_as_before(app: Act) -> None:
    deposit(app, STEP)
    settle(app)
    app.sql(BOTH).fetchall()
    assert app.sql(COUNT, at=3).fetchall() == [(2, 1, 3)]
    tables = {name for (name,) in app.sql("select name from (show tables)").fetchall()}
    assert {"deposited", "withdrawn", "events"} <= {name.casefold() for name in tables}
    assert not any(name.startswith("settled") for name in tables)


def test_threads_ask_while_views_come_and_go(app: Act) -> None:
    deposit(app, STEP)
    settle(app)

    def ask(number: int) -> None:
        for _ in range(20):
            counts = app.sql(BOTH if number % 2 else "select count(*), count(*) from withdrawn").fetchall()
            assert len(set(counts[0])) == 1

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask, number) for number in range(4)]
        for _ in range(3):
            deposit(app, STEP)
            settle(app)
        for each in asking:
            each.result()
    assert app.sql(COUNT).fetchall() == [expected(app)]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(["deposit", "settle", "ask", "keep", "read", "other"]), max_size=12))
def test_whatever_comes_in_between_answers_are_those_of_their_cut(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    with Act(LogStore(tmp_path_factory.mktemp("views") / "store", durability="os"), Account) as app:
        deposit(app, STEP)
        kept = []
        for step in [*steps, "ask", "read"]:
            match step:
                case "deposit":
                    deposit(app, STEP // 3)
                case "settle":
                    settle(app)
                case "other":
                    app.store.append("elsewhere", [("Other", b"{}")])
                case "ask":
                    assert app.sql(COUNT).fetchall() == [expected(app)]
                case "keep":
                    kept.append((app.sql(COUNT), expected(app)))
                case _:
                    assert [answer.fetchall() for answer, _ in kept] == [[right] for _, right in kept]
        app.store.close()
