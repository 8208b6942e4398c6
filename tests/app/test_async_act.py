"""`AsyncAct`: the same verbs, awaited."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator

import pytest

from act_fast import (
    Act,
    Actor,
    AsyncAct,
    ConcurrencyError,
    Event,
    InvariantError,
    State,
    StoreClosedError,
    ValidationError,
    action,
)
from tests.support.bank import Account, Deposited


@pytest.fixture
async def bank() -> AsyncIterator[AsyncAct]:
    async with AsyncAct("memory:", Account, Valve, debug=True) as bank:
        yield bank


class Turned(Event):
    by: str


class Valve(State):
    """Its action goes no further until the test lets it."""

    by: str = ""

    @action
    def turn(self, by: str) -> Turned:
        entered.set()
        assert proceed.wait(60)
        return Turned(by)


entered = threading.Event()
proceed = threading.Event()


@pytest.fixture(autouse=True)
def valve_is_shut() -> None:
    entered.clear()
    proceed.clear()


async def test_do_and_load(bank: AsyncAct) -> None:
    await bank.do(Account.open, "account-7", owner="Ada")
    snapshot = await bank.do(Account.deposit, "account-7", 50)
    assert (snapshot.state.balance, snapshot.version) == (50, 2)
    assert (await bank.load(Account, "account-7", before=2)).state.balance == 0


async def test_history_and_query(bank: AsyncAct) -> None:
    for amount in range(150):
        await bank.do(Account.deposit, "account-7", amount=amount)
    steps = [step.version async for step in bank.history(Account, "account-7")]
    assert steps == list(range(1, 151))
    found = [each.data async for each in bank.query(events=[Deposited], limit=2)]
    assert found == [Deposited(0), Deposited(1)]


async def test_errors_are_the_same(bank: AsyncAct) -> None:
    with pytest.raises(ValidationError):
        await bank.do(Account.deposit, "account-7", amount="x")  # type: ignore[arg-type]
    with pytest.raises(InvariantError):
        await bank.do(Account.withdraw, "account-7", amount=1)
    with pytest.raises(ConcurrencyError):
        await bank.expecting(7).do(Account.deposit, "account-7", amount=1)


async def test_acting_context_and_the_rest(bank: AsyncAct) -> None:
    with bank.context(correlation="request-1"):
        event = (await bank.acting(Actor("u1")).do(Account.open, "account-7", owner="Ada")).event
    assert event is not None
    assert event.meta.correlation == "request-1"
    assert (await bank.snapshot(Account, "account-7")).version == 1
    assert (await bank.close_stream(Account, "account-7")).version == 2
    assert bank.cache_info().size == 1


async def test_every_verb_of_act_is_there() -> None:
    def verbs(cls: type) -> set[str]:
        return {name for name in vars(cls) if not name.startswith("_")}

    assert verbs(Act) - verbs(AsyncAct) == {"store", "states", "views"}
    assert verbs(AsyncAct) - verbs(Act) == {"open", "sync"}
    for name in verbs(Act) & verbs(AsyncAct):
        ours, theirs = (inspect.signature(getattr(cls, name)).parameters for cls in (AsyncAct, Act))
        assert list(ours) == list(theirs), name


async def test_the_loop_goes_on_while_an_action_runs(bank: AsyncAct) -> None:
    turning = asyncio.create_task(bank.do(Valve.turn, "v", by="me"))
    while not entered.is_set():
        await asyncio.sleep(0)
    assert not turning.done()
    proceed.set()
    assert (await turning).version == 1


async def test_no_update_is_lost_when_many_tasks_hammer_one_stream(bank: AsyncAct) -> None:
    await asyncio.gather(*(bank.do(Account.deposit_at_last, "account-7", amount=1) for _ in range(200)))
    assert (await bank.load(Account, "account-7")).state.balance == 200


async def test_who_is_cancelled_waits_for_what_has_begun(bank: AsyncAct) -> None:
    turning = asyncio.create_task(bank.do(Valve.turn, "v", by="me"))
    while not entered.is_set():
        await asyncio.sleep(0)
    for _ in range(3):
        turning.cancel()
        await asyncio.sleep(0)
        assert not turning.done()
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await turning
    assert (await bank.load(Valve, "v")).version == 1


async def test_who_is_cancelled_before_anything_began_has_done_nothing() -> None:
    async with AsyncAct("memory:", Valve, threads_max=1) as bank:
        first = asyncio.create_task(bank.do(Valve.turn, "v", by="first"))
        while not entered.is_set():
            await asyncio.sleep(0)
        second = asyncio.create_task(bank.do(Valve.turn, "v", by="second"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        proceed.set()
        await first
        snapshot = await bank.load(Valve, "v")
    assert (snapshot.version, snapshot.state.by) == (1, "first")


async def test_closing_waits_for_what_has_begun() -> None:
    bank = AsyncAct("memory:", Valve)
    turning = asyncio.create_task(bank.do(Valve.turn, "v", by="me"))
    while not entered.is_set():
        await asyncio.sleep(0)
    closing = asyncio.create_task(bank.close())
    await asyncio.sleep(0)
    proceed.set()
    await closing
    assert (await turning).version == 1
    assert bank.sync.store.closed


async def test_an_act_can_be_shared_with_code_that_does_not_await(app: Act) -> None:
    async with AsyncAct(app) as bank:
        await bank.do(Account.deposit, "account-7", amount=1)
        assert bank.sync is app
        assert app.load(Account, "account-7").version == 1
    with pytest.raises(ValidationError, match="an Act already has its components"):
        AsyncAct(app, Account)


async def test_an_observer_can_be_added(bank: AsyncAct) -> None:
    told: list[int] = []
    bank.observe("committed", lambda snapshot: told.append(snapshot.version))
    await bank.do(Account.deposit, "account-7", amount=1)
    assert told == [1]


async def test_an_action_may_call_its_arguments_what_it_likes() -> None:
    class Noted(Event):
        function: str

    class Notes(State):
        function: str = ""

        @action
        def note(self, function: str) -> Noted:
            return Noted(function)

    async with AsyncAct("memory:", Notes) as app:
        assert (await app.do(Notes.note, "s", function="f")).state.function == "f"


async def test_after_closing_every_verb_says_that_it_is_closed(app: Act) -> None:
    bank = AsyncAct(app)
    await bank.close()
    await bank.close()
    with pytest.raises(StoreClosedError, match="this app was closed"):
        await bank.load(Account, "account-7")
