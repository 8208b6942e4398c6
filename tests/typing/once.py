"""What type checkers accept of keys, and what they refuse: a key takes no argument of an action's."""

from typing import assert_type

from act_fast import Act, Appended, AsyncAct, KeyReusedError, LogStore, Snapshot

from .domain import Account


async def right(app: Act, async_app: AsyncAct, store: LogStore) -> None:
    assert_type(app.once("k"), Act)
    assert_type(app.once("k").do(Account.deposit, "account-7", amount=1), Snapshot[Account])
    assert_type(app.expecting(1).once("k").do(Account.deposit, "account-7", 1).repeated, bool)
    assert_type(await async_app.once("k").do(Account.deposit, "account-7", amount=1), Snapshot[Account])
    assert_type(store.append("a", [("Noted", b"1")], key="k"), Appended)
    assert_type(KeyReusedError("k", 1).position, int)


def wrong(app: Act, store: LogStore) -> None:
    app.once(7)  # type: ignore[arg-type]
    app.once("k").do(Account.deposit, "account-7", amount="1")  # type: ignore[arg-type]
    app.do(Account.deposit, "account-7", amount=1, key="k")  # type: ignore[call-arg]
    store.append("a", [("Noted", b"1")], key=7)  # type: ignore[arg-type]
