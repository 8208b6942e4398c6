"""Waiting for news: across threads, processes and asyncio tasks."""

import asyncio
import gc
import resource
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from act_fast import LogStore
from act_fast.errors import StoreClosedError
from tests.support.numbered import pairs, positions
from tests.support.processes import Tell, asleep, needs_proc, run, started, until


def test_waiting_for_what_is_there_already_returns_at_once(store: LogStore) -> None:
    store.append("a", pairs(3))
    assert store.wait(0) == 3
    assert store.wait(2) == 3
    assert store.wait(2, timeout=0) == 3


def test_when_nothing_comes_the_head_is_returned_at_the_timeout(store: LogStore) -> None:
    store.append("a", pairs(3))
    assert store.wait(3, timeout=0) == 3
    assert store.wait(3, timeout=0.01) == 3
    assert store.wait(100, timeout=0.01) == 3


def test_a_wait_lasts_at_least_as_long_as_asked(store: LogStore) -> None:
    begun = time.monotonic()
    store.wait(0, timeout=0.05)
    assert time.monotonic() - begun >= 0.05


def test_an_append_in_another_thread_ends_the_wait(store: LogStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(store.wait, 0) for _ in range(4)]
        store.append("a", pairs(2))
        assert [each.result() for each in waiting] == [2, 2, 2, 2]


def test_an_append_through_another_handle_ends_the_wait(open_store: Callable[..., LogStore]) -> None:
    first, second = open_store(), open_store()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(first.wait, 0)
        second.append("a", pairs(2))
        assert waiting.result() == 2


def test_an_append_in_another_process_ends_the_wait(store_path: Path, open_store: Callable[..., LogStore]) -> None:
    open_store().close()

    def waiter(tell: Tell) -> None:
        with LogStore(store_path) as store:
            tell("waiting")
            tell(store.wait(0))

    with started(waiter, waiter) as processes:
        assert [process.next_line() for process in processes] == ["waiting", "waiting"]
        open_store().append("a", pairs(2))
        assert [process.next_line() for process in processes] == ["2", "2"]


def test_a_wait_for_a_later_position_sleeps_on_over_earlier_ones(store: LogStore) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, 10)
        for _ in range(10):
            store.append("a", pairs(1))
        assert not waiting.done()
        store.append("a", pairs(1))
        assert waiting.result() == 11


def test_a_snapshot_is_no_news(store: LogStore) -> None:
    store.append("a", pairs(1))
    store.save_snapshot("a", 1, b"x")
    assert store.wait(1, timeout=0.01) == 1


def test_ping_pong_between_two_processes_loses_no_wake_up(store_path: Path) -> None:
    turns = 300

    def player(mine: int) -> Callable[[Tell], None]:
        def play(tell: Tell) -> None:
            with LogStore(store_path, durability="os") as store:
                for turn in range(turns):
                    if turn % 2 == mine:
                        store.append("game", pairs(1, first=turn + 1))
                    else:
                        assert store.wait(turn) == turn + 1
                tell(store.head)

        return play

    LogStore(store_path).close()
    assert run(player(0), player(1)) == [[str(turns)], [str(turns)]]


def test_other_threads_go_on_while_one_waits(store: LogStore) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, 0)
        assert sum(range(100_000)) == 4_999_950_000
        store.append("a", pairs(1))
        assert waiting.result() == 1


@needs_proc
def test_a_waiter_sleeps_and_does_not_poll(store: LogStore) -> None:
    before = resource.getrusage(resource.RUSAGE_THREAD)
    store.wait(0, timeout=0.5)
    after = resource.getrusage(resource.RUSAGE_THREAD)
    assert after.ru_nvcsw - before.ru_nvcsw < 20
    assert after.ru_utime - before.ru_utime < 0.1


@needs_proc
def test_closing_the_store_ends_the_wait_of_another_thread(store: LogStore) -> None:
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            store.wait(0)
        except StoreClosedError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: asleep(thread))
    store.close()
    thread.join(60)
    assert not thread.is_alive()
    assert len(caught) == 1


def test_an_async_wait_returns_at_once_what_is_there_already(store: LogStore, news_threads: Callable[[], int]) -> None:
    store.append("a", pairs(3))
    assert asyncio.run(store.wait_async(2)) == 3
    assert news_threads() == 0


def test_an_async_wait_returns_the_head_at_the_timeout(store: LogStore) -> None:
    store.append("a", pairs(3))
    assert asyncio.run(store.wait_async(3, timeout=0.01)) == 3
    assert asyncio.run(store.wait_async(3, timeout=0)) == 3


def test_an_append_ends_an_async_wait(store: LogStore) -> None:
    async def main() -> int:
        waiting = asyncio.create_task(store.wait_async(0))
        await asyncio.sleep(0)
        await asyncio.to_thread(store.append, "a", pairs(2))
        return await waiting

    assert asyncio.run(main()) == 2


def test_an_append_in_another_process_ends_an_async_wait(store_path: Path, open_store: Callable[..., LogStore]) -> None:
    open_store().close()

    def waiter(tell: Tell) -> None:
        async def main() -> None:
            with LogStore(store_path) as store:
                waiting = asyncio.create_task(store.wait_async(0))
                await asyncio.sleep(0)
                tell("waiting")
                tell(await waiting)

        asyncio.run(main())

    with started(waiter) as (process,):
        assert process.next_line() == "waiting"
        open_store().append("a", pairs(2))
        assert process.next_line() == "2"
        assert process.wait() == 0


def test_however_many_wait_one_thread_sleeps_for_them_all(store: LogStore, news_threads: Callable[[], int]) -> None:
    async def main() -> list[int]:
        waiting = [asyncio.create_task(store.wait_async(0)) for _ in range(500)]
        await asyncio.sleep(0)
        assert news_threads() == 1
        store.append("a", pairs(1))
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == [1] * 500
    assert news_threads() == 1


def test_each_async_waiter_is_woken_by_what_it_waits_for(store: LogStore) -> None:
    async def main() -> list[int]:
        ended: list[int] = []

        async def wait(after: int) -> None:
            await store.wait_async(after)
            ended.append(after)

        waiting = {after: asyncio.create_task(wait(after)) for after in (4, 0, 2)}
        await asyncio.sleep(0)
        for after in (0, 2, 4):
            while store.head <= after:
                store.append("a", pairs(1))
            await waiting[after]
        return ended

    assert asyncio.run(main()) == [0, 2, 4]


def test_a_cancelled_waiter_does_not_disturb_the_others(store: LogStore) -> None:
    async def main() -> int:
        cancelled = [asyncio.create_task(store.wait_async(0)) for _ in range(10)]
        waiting = asyncio.create_task(store.wait_async(0))
        await asyncio.sleep(0)
        for task in cancelled:
            task.cancel()
        ended = await asyncio.gather(*cancelled, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)
        store.append("a", pairs(1))
        return await waiting

    assert asyncio.run(main()) == 1


def test_cancelling_and_appending_at_the_same_moment_is_safe(store: LogStore) -> None:
    async def main() -> None:
        for turn in range(200):
            waiting = asyncio.create_task(store.wait_async(turn))
            await asyncio.sleep(0)
            store.append("a", pairs(1))
            waiting.cancel()
            ended = (await asyncio.gather(waiting, return_exceptions=True))[0]
            assert ended == turn + 1 or isinstance(ended, asyncio.CancelledError)

    asyncio.run(main())
    assert store.head == 200


def test_an_async_follower_misses_nothing(store: LogStore) -> None:
    async def follow() -> list[int]:
        seen: list[int] = []
        while len(seen) < 500:
            await store.wait_async(len(seen))
            seen += positions(store.query(after=len(seen)))
        return seen

    def write() -> None:
        for _ in range(500):
            store.append("a", pairs(1))

    async def main() -> list[int]:
        writing = asyncio.create_task(asyncio.to_thread(write))
        seen = await follow()
        await writing
        return seen

    assert asyncio.run(main()) == list(range(1, 501))


def test_waiters_of_several_event_loops_are_all_woken(store: LogStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(lambda: asyncio.run(store.wait_async(0))) for _ in range(4)]
        store.append("a", pairs(1))
        assert [each.result() for each in waiting] == [1, 1, 1, 1]


def test_a_loop_that_is_gone_does_not_harm_the_waiters_of_others(store: LogStore) -> None:
    gone = asyncio.new_event_loop()
    abandoned = gone.create_task(store.wait_async(0))
    gone.run_until_complete(asyncio.sleep(0))

    async def main() -> int:
        waiting = asyncio.create_task(store.wait_async(0))
        await asyncio.sleep(0)
        gone.close()
        store.append("a", pairs(1))
        return await waiting

    assert asyncio.run(main()) == 1
    assert not abandoned.done()
    del abandoned
    gc.collect()  # what asyncio has to say about such tasks belongs to this test


def test_closing_the_store_ends_an_async_wait(store: LogStore, news_threads: Callable[[], int]) -> None:
    async def main() -> None:
        waiting = [asyncio.create_task(store.wait_async(0)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in ended] == [StoreClosedError] * 3

    asyncio.run(main())
    assert news_threads() == 0


def test_closing_the_store_ends_its_thread(store: LogStore, news_threads: Callable[[], int]) -> None:
    asyncio.run(store.wait_async(0, timeout=0.01))
    assert news_threads() == 1
    store.close()
    assert news_threads() == 0


def test_an_async_wait_on_a_closed_store_is_refused(store: LogStore, news_threads: Callable[[], int]) -> None:
    store.close()
    with pytest.raises(StoreClosedError):
        asyncio.run(store.wait_async(0))
    assert news_threads() == 0
