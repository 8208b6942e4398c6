"""`AsyncAct` promises the same."""

from typing import assert_type

from act_fast import AsyncAct, Committed, Event, Snapshot

from .domain import Account, Deposited


async def right(app: AsyncAct) -> None:
    assert_type(await app.do(Account.deposit, "a", amount=5), Snapshot[Account])
    assert_type(await app.do_many(Account.deposit.at("a", amount=5)), tuple[Snapshot[Account]])
    assert_type(await app.load(Account, "a", before=2), Snapshot[Account])
    async for step in app.history(Account, "a"):
        assert_type(step, Snapshot[Account])
    async for found in app.query(events=[Deposited]):
        assert_type(found, Committed[Deposited])
    async for each in app.query(limit=3):
        assert_type(each, Committed[Event])
    assert_type(app.expecting(1), AsyncAct)


async def wrong(app: AsyncAct) -> None:
    await app.do(Account.deposit, "a", amount="5")  # type: ignore[arg-type]
    await app.do(Account.deposit, "a", sum=5)  # type: ignore[call-arg]
    await app.load(Deposited, "a")  # type: ignore[type-var]
    print(app.do(Account.deposit, "a", amount=5).state)  # type: ignore[attr-defined]
