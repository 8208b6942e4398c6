"""`schedule` knows what an action takes, and `every` what its function is given."""

from datetime import datetime, timedelta
from typing import assert_type

from act_fast import Act, AsyncAct, Committed, Ticked, Timer

from .domain import Account, Deposited


async def right(app: Act, async_app: AsyncAct, moment: datetime) -> None:
    assert_type(app.schedule(after=timedelta(days=1)).do(Account.deposit, "a", amount=5), Timer)
    assert_type(app.schedule(at=moment, key="k", replace=True).do(Account.deposit, "a", 5), Timer)
    assert_type(await async_app.schedule(at=moment).do(Account.deposit, "a", amount=5), Timer)
    assert_type(app.cancel("k"), bool)
    assert_type(app.timer("k"), Timer | None)

    @app.every("0 3 * * *", tz="Europe/Berlin")
    def nightly(tick: Committed[Ticked]) -> None:
        assert_type(tick.data.due, datetime)

    @async_app.every(timedelta(minutes=5), missed="each")
    async def often(tick: Committed[Ticked], app: AsyncAct) -> None:
        await app.cancel("k")


def wrong(app: Act) -> None:
    app.schedule(after=timedelta(days=1)).do(Account.deposit, "a", amount="5")  # type: ignore[arg-type]
    app.schedule(after=timedelta(days=1)).do(Account.deposit, "a", cents=5)  # type: ignore[call-arg]
    app.schedule(after=timedelta(days=1)).do(Account.deposit, "a")  # type: ignore[call-arg]
    app.schedule(after=5)  # type: ignore[arg-type]
    app.schedule(at="tomorrow")  # type: ignore[arg-type]
    app.cancel(5)  # type: ignore[arg-type]
    app.timers(status="over")  # type: ignore[arg-type]

    @app.every("0 3 * * *")  # type: ignore[arg-type]
    def takes_another(tick: Committed[Deposited]) -> None: ...
