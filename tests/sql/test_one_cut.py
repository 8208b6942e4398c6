"""Everything in one query is as of one position, whatever others do meanwhile."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from act_fast import Act, LogStore, connect
from tests.support.bank import Account

WRITER = """
import sys
from act_fast import Append, LogStore
with LogStore(sys.argv[1], durability="os") as store:
    for asked in sys.stdin:
        for number in range(int(asked)):
            # One commit takes from one account what it gives to another.
            moved = b'{"amount":%d}' % (number % 9)
            store.append_many([
                Append(f"account-{number % 5}", [("Withdrawn", moved)]),
                Append(f"account-{(number + 1) % 5}", [("Deposited", moved)]),
            ])
"""
COMMITS = 2000
"""So many are appended while one question is answered: without a bound, questions would fall behind for ever."""

GoOn = Callable[[], None]


@pytest.fixture
def app(store_path: Path) -> Iterator[Act]:
    with LogStore(store_path, durability="os") as store, Act(store, Account) as opened:
        yield opened


@pytest.fixture
def go_on(app: Act, store_path: Path) -> Iterator[GoOn]:
    """Has another process begin to append, while whoever has called it does something else."""
    command = [sys.executable, "-c", WRITER, str(store_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as child:
        pipe = child.stdin
        assert pipe is not None

        def ask() -> None:
            pipe.write(f"{COMMITS}\n")
            pipe.flush()

        ask()
        app.store.wait(0)
        yield ask
        child.kill()


def test_counts_positions_and_balances_agree_while_another_process_appends(app: Act, go_on: GoOn) -> None:
    before = 0
    for _ in range(20):
        go_on()
        [row] = app.sql(
            """
            select
                (select count(*) from events),
                (select max(position) from events),
                (select count(*) from deposited) + (select count(*) from withdrawn),
                (select sum(version)::bigint from streams),
                (select sum(balance)::bigint from account),
                (select max(position) from account)
            """
        ).fetchall()
        count, last, typed, versions, balance, folded = row
        assert count == last == typed == versions == folded
        assert balance == 0
        assert last >= before
        before = last
    assert before > 0


def test_a_relation_and_its_join_with_itself_agree(app: Act, go_on: GoOn) -> None:
    with connect(app) as connection:
        joined = connection.sql("select count(*) from events as a join events as b using (position)")
        for _ in range(5):
            go_on()
            assert joined.fetchall() == [(connection.position,)]
        position = connection.position
        go_on()
        app.store.wait(position)
        assert connection.refresh() > position


def test_questions_are_answered_while_the_store_is_verified_and_its_index_made_anew(app: Act, go_on: GoOn) -> None:
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            app.store.rebuild_index()  # type: ignore[attr-defined]
            assert not app.store.verify().problems  # type: ignore[attr-defined]

    with ThreadPoolExecutor() as pool:
        disturbing = pool.submit(disturb)
        for _ in range(10):
            go_on()
            [(count, last)] = app.sql("select count(*), max(position) from events").fetchall()
            assert count == last
        stop.set()
        disturbing.result()


def test_threads_ask_at_the_same_time(app: Act) -> None:
    for number in range(100):
        app.store.append(f"account-{number % 5}", [("Deposited", b'{"amount":1}')])
    with ThreadPoolExecutor(8) as pool:
        query = "select count(*), sum(amount)::bigint, max(position) from deposited"
        found = list(pool.map(lambda _: app.sql(query).fetchall(), range(40)))
    assert found == [[(100, 100, 100)]] * 40


def test_a_store_that_is_closed_while_it_is_read_says_so_and_harms_nobody(store_path: Path) -> None:
    with LogStore(store_path, durability="os", segment_bytes=4 << 20) as store, Act(store, Account) as app:
        for _ in range(20):
            store.append("account-1", [("Deposited", b'{"amount":1}')] * 5_000)
        found = app.sql("select position, data from events")
        rows = iter(found.iter_rows())
        next(rows)
        again = app.sql("select count(*) from events")
        store.close()
        with pytest.raises(Exception, match="was closed"):
            again.fetchall()
