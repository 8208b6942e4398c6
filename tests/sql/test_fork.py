"""A child that was forked from a process that has asked before can ask too, on a store that it opens itself."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from act_fast import Act, LogStore, connect
from act_fast._sql import duckdb_database, spill
from act_fast.errors import StoreClosedError
from tests.support.bank import Account


def test_a_forked_child_asks_on_a_store_of_its_own(store_path: Path) -> None:
    query = "select count(*) from deposited"
    with LogStore(store_path, durability="os") as store, Act(store, Account) as app:
        store.append("account-1", [("Deposited", b'{"amount":1}')] * 3)
        assert app.sql(query).fetchall() == [(3,)]
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with LogStore(store_path, durability="os") as own, Act(own, Account) as other:
                    code = 0 if other.sql(query).fetchall() == [(3,)] else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert app.sql(query).fetchall() == [(3,)]


def in_child(do: Callable[[], object]) -> int:
    """Do something in a child; how that went."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            do()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("asked", [True, False])
def test_a_child_lets_go_of_a_connection_that_was_made_before_it(store_path: Path, asked: bool) -> None:
    query = "select count(*) from deposited"
    with LogStore(store_path, durability="os") as store, Act(store, Account) as app:
        store.append("account-1", [("Deposited", b'{"amount":1}')] * 3)
        kept = [connect(app)]
        answer = kept[0].sql(query) if asked else None

        def refused() -> None:
            for ask in (lambda: kept[0].sql("select 1"), kept[0].refresh, lambda: kept[0].duckdb):
                with pytest.raises(StoreClosedError, match="connect again in the child"):
                    ask()
            if answer is not None:
                with pytest.raises(duckdb.Error, match=r"StoreClosedError: .* open it again in the child"):
                    answer.fetchall()

        def ask_again() -> None:
            with LogStore(store_path, durability="os") as own, Act(own, Account) as other, connect(other) as new:
                assert new.sql(query).fetchall() == [(3,)]
                assert other.sql(query).fetchall() == [(3,)]

        def drop() -> None:
            kept.clear()
            gc.collect()

        own = kept[0].duckdb
        own.execute("create table small as select * from deposited")
        inner = own.cursor()

        def close_duckdbs_own() -> None:
            for each in (inner, own, *kept, own):
                each.close()

        for do in (kept[0].close, drop, refused, ask_again, own.close, inner.close, close_duckdbs_own):
            assert in_child(do) == 0
        assert own.execute("select count(*) from small").fetchall() == [(3,)]
        if answer is not None:
            assert answer.fetchall() == [(3,)]
        assert kept[0].sql(query).fetchall() == [(3,)]
        kept[0].close()


def test_a_child_asks_also_when_a_thread_was_about_to_ask(store_path: Path) -> None:
    with LogStore(store_path, durability="os") as store, Act(store, Account) as app:
        store.append("account-1", [("Deposited", b'{"amount":1}')])
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with duckdb_database._databases._lock, spill._lock:
                inside.set()
                leave.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait()

        def ask() -> None:
            with LogStore(store_path, durability="os") as own, Act(own, Account) as other:
                assert other.sql("select count(*) from deposited").fetchall() == [(1,)]

        assert in_child(ask) == 0
        leave.set()
        thread.join()
        assert app.sql("select count(*) from deposited").fetchall() == [(1,)]


ENDS = """
import os, sys
from act_fast import Act, connect
from tests.support.bank import Account

app = Act("memory:", Account)
app.do(Account.deposit, "a", amount=1)
answer = app.sql("select count(*) from deposited")
connection = connect(app)
if os.fork() == 0:
    sys.exit(7)
_, status = os.wait()
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


def test_a_child_ends_as_any_program_does() -> None:
    assert subprocess.run([sys.executable, "-c", ENDS], timeout=60).returncode == 7
