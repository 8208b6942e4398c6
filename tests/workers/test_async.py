"""Handlers that are awaited, and the verbs of `AsyncAct`."""

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator

import pytest

from act_fast import Act, AsyncAct, Committed, Drained
from tests.support.bank import Account, Deposited, Opened
from tests.support.heard import Heard, deposit


@pytest.fixture
async def bank() -> AsyncIterator[AsyncAct]:
    async with AsyncAct("memory:", Account) as bank:
        yield bank


async def put(bank: AsyncAct, *streams: str) -> None:
    for stream in streams:
        await bank.do(Account.deposit, stream, amount=1)


async def test_the_verbs_are_awaited(bank: AsyncAct) -> None:
    heard = Heard()
    bank.on(Deposited, to="all", name="all")(heard)
    await put(bank, "a", "b")
    assert (await bank.correlate()).marked == 2
    assert await bank.drain() == Drained(leased=1, handled=2, acked=1)
    assert (await bank.settle()).drained == Drained()
    assert [target.name async for target in bank.targets()] == ["all"]
    assert [each.reaction for each in await bank.cursors()] == ["all"]
    assert await bank.reset("all") == 1
    assert await bank.block("all", error="why") == 1
    assert [target.error async for target in bank.blocked()] == ["why"]
    assert await bank.unblock() == 1
    assert await bank.prioritize("all", 3) == 1
    assert (await bank.settle()).drained.handled == 2
    assert (await bank.wait_for(2, "all", timeout=1)).priority == 3


async def test_async_handlers_run_as_tasks_of_the_loop_that_drains(bank: AsyncAct) -> None:
    loops: set[asyncio.AbstractEventLoop] = set()

    @bank.on(Deposited)
    async def handle(event: Committed[Deposited]) -> None:
        await asyncio.sleep(0)
        loops.add(asyncio.get_running_loop())

    await put(bank, "a", "b", "a")
    assert (await bank.settle()).drained.handled == 3
    assert loops == {asyncio.get_running_loop()}


async def test_async_targets_are_handled_at_the_same_time_and_no_more_than_asked_for(bank: AsyncAct) -> None:
    at_work, most, two = 0, 0, asyncio.Event()

    @bank.on(Deposited)
    async def handle(event: Committed[Deposited]) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        if at_work == 2:
            two.set()
        await asyncio.wait_for(two.wait(), 30)
        await asyncio.sleep(0)
        at_work -= 1

    await put(bank, *"abcdef")
    await bank.settle(concurrency=2)
    assert most == 2


async def test_the_events_of_a_target_are_awaited_one_after_the_other(bank: AsyncAct) -> None:
    seen: list[str] = []

    @bank.on(Deposited, to="all")
    async def handle(event: Committed[Deposited]) -> None:
        seen.append(f"begin {event.position}")
        await asyncio.sleep(0)
        seen.append(f"end {event.position}")

    await put(bank, "a", "b")
    await bank.settle()
    assert seen == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_an_async_handler_is_given_the_async_app_and_its_deeds_name_the_event(bank: AsyncAct) -> None:
    @bank.on(Opened)
    async def welcome(event: Committed[Opened], app: AsyncAct) -> None:
        await asyncio.sleep(0)
        await app.do(Account.deposit, "gift", amount=5)

    with bank.context(correlation="request-1"):
        await bank.do(Account.open, "a", owner="Ada")
    await bank.settle()
    (gift,) = [each async for each in bank.query(stream="gift")]
    assert gift.meta.correlation == "request-1"
    assert gift.meta.causation is not None
    assert gift.meta.causation.event is not None
    assert gift.meta.causation.event.stream == "a"


async def test_def_and_async_def_may_share_a_target(bank: AsyncAct) -> None:
    ran: list[str] = []
    main = threading.get_ident()

    @bank.on(Deposited, to="all")
    def first(event: Committed[Deposited]) -> None:
        assert threading.get_ident() != main, "the loop must not be held up"
        ran.append(f"first {event.position}")

    @bank.on(Deposited, to="all")
    async def second(event: Committed[Deposited]) -> None:
        ran.append(f"second {event.position}")

    await put(bank, "a", "b")
    await bank.settle()
    assert ran == ["first 1", "second 1", "first 2", "second 2"]


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError(), TimeoutError()])
async def test_a_failing_async_handler_is_tried_again_and_blocked(bank: AsyncAct, error: BaseException) -> None:
    calls = 0

    @bank.on(Deposited, to="all", retries=2, backoff=0)
    async def handle(event: Committed[Deposited]) -> None:
        nonlocal calls
        calls += 1
        raise error

    await put(bank, "a")
    await bank.settle()
    assert calls == 3
    assert [str(target.error).startswith(type(error).__name__) async for target in bank.blocked()] == [True]


async def test_the_loop_is_free_while_def_handlers_are_at_work(bank: AsyncAct) -> None:
    ticked = threading.Event()

    @bank.on(Deposited)
    def handle(event: Committed[Deposited]) -> None:
        assert ticked.wait(30)

    await put(bank, "a")
    settling = asyncio.ensure_future(bank.settle())
    await asyncio.sleep(0)
    ticked.set()
    assert (await settling).drained.handled == 1


async def test_handlers_may_use_the_app_though_it_has_but_one_thread() -> None:
    async with AsyncAct("memory:", Account, threads_max=1) as bank:

        @bank.on(Opened)
        async def welcome(event: Committed[Opened]) -> None:
            await bank.do(Account.deposit, "gift", amount=5)

        await bank.do(Account.open, "a", owner="Ada")
        assert (await bank.settle()).drained.handled == 1


async def test_a_worker_that_is_awaited_ends_when_it_is_stopped(bank: AsyncAct) -> None:
    done = asyncio.Event()

    @bank.on(Deposited)
    async def handle(event: Committed[Deposited]) -> None:
        done.set()

    running = asyncio.create_task(bank.run())
    await put(bank, "a")
    await asyncio.wait_for(done.wait(), 30)
    bank.stop()
    assert (await running).drained.handled == 1


async def test_cancelling_a_worker_lets_its_handlers_end(bank: AsyncAct) -> None:
    begun, proceed, ended = asyncio.Event(), asyncio.Event(), []

    @bank.on(Deposited, to="all")
    async def handle(event: Committed[Deposited]) -> None:
        begun.set()
        await proceed.wait()
        ended.append(event.position)

    running = asyncio.create_task(bank.run())
    await put(bank, "a")
    await asyncio.wait_for(begun.wait(), 30)
    running.cancel()
    await asyncio.sleep(0.01)
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == [1]
    (target,) = [each async for each in bank.targets()]
    assert (target.watermark, target.holder) == (1, None)


async def test_closing_ends_a_worker_and_its_async_handlers() -> None:
    begun = asyncio.Event()
    async with AsyncAct("memory:", Account) as bank:

        @bank.on(Deposited)
        async def handle(event: Committed[Deposited]) -> None:
            begun.set()
            await asyncio.sleep(0.05)

        running = asyncio.create_task(bank.run())
        await put(bank, "a")
        await asyncio.wait_for(begun.wait(), 30)
    assert (await running).drained.handled == 1


def test_a_plain_app_runs_async_handlers_on_a_loop_of_its_own(app: Act) -> None:
    threads: set[str] = set()

    @app.on(Deposited)
    async def handle(event: Committed[Deposited], given: AsyncAct) -> None:
        await asyncio.sleep(0)
        threads.add(threading.current_thread().name)
        await given.do(Account.open, f"o-{event.stream}", owner="Ada")

    deposit(app, "a", "b")
    assert app.settle().drained.handled == 2
    assert threads == {"act-fast-loop"}
    assert app.load(Account, "o-a").state.owner == "Ada"


def test_context_variables_of_who_drains_are_there_in_handlers(app: Act) -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")
    seen: list[str] = []

    @app.on(Deposited, to="d-{stream}")
    def plain(event: Committed[Deposited]) -> None:
        seen.append(tenant.get())

    @app.on(Deposited, to="a-{stream}")
    async def waits(event: Committed[Deposited]) -> None:
        await asyncio.sleep(0)
        seen.append(tenant.get())

    deposit(app, "a", "b")
    tenant.set("ada")
    app.settle()
    assert seen == ["ada"] * 4


async def test_a_slow_async_target_does_not_hold_up_a_quick_one(bank: AsyncAct) -> None:
    quick, proceed = Heard(), asyncio.Event()

    @bank.on(Deposited)
    async def handle(event: Committed[Deposited]) -> None:
        if event.stream == "slow":
            await proceed.wait()
        else:
            quick(event)

    running = asyncio.create_task(bank.run())
    await put(bank, "slow")
    for count in range(1, 6):
        await put(bank, "quick")
        end = time.monotonic() + 30
        while len(quick.events) < count:
            assert time.monotonic() < end
            await asyncio.sleep(0.001)
    proceed.set()
    bank.stop()
    await running
