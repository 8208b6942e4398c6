"""A child that was forked from a process that has asked before can ask too, on a store that it opens itself."""

import os
from pathlib import Path

from act_fast import Act, LogStore
from tests.framework.bank import Account


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
