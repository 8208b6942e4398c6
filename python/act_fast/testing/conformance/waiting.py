"""Waiting for news."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from act_fast.errors import StoreClosedError
from act_fast.stores.port import Store
from act_fast.testing.conformance.cases import Cases, OpenStore, pairs, positions

__all__ = ["Waiting"]

_PATIENCE_SECONDS = 60.0


def _ended(thread: threading.Thread) -> bool:
    thread.join(_PATIENCE_SECONDS)
    return not thread.is_alive()


class Waiting(Cases):
    """What `wait` and `wait_async` promise."""

    def test_waiting_for_what_is_there_already_returns_at_once(self, store: Store) -> None:
        store.append("a", pairs(3))
        assert store.wait(0) == store.wait(2) == store.wait(2, timeout=0) == 3
        assert asyncio.run(store.wait_async(2)) == 3

    def test_when_nothing_comes_the_head_is_returned_at_the_timeout(self, store: Store) -> None:
        store.append("a", pairs(3))
        for after, timeout in ((3, 0), (3, 0.01), (100, 0.01), (2**63 - 1, 0)):
            assert store.wait(after, timeout=timeout) == 3
            assert asyncio.run(store.wait_async(after, timeout=timeout)) == 3

    def test_a_wait_lasts_at_least_as_long_as_asked(self, store: Store) -> None:
        begun = time.monotonic()
        store.wait(0, timeout=0.05)
        assert time.monotonic() - begun >= 0.05

    def test_an_append_in_another_thread_ends_the_wait(self, store: Store) -> None:
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(store.wait, 0) for _ in range(4)]
            store.append("a", pairs(2))
            assert [each.result(_PATIENCE_SECONDS) for each in waiting] == [2, 2, 2, 2]

    def test_an_append_through_another_handle_ends_the_wait(self, open_store: OpenStore) -> None:
        self.needs("handles")
        first, second = open_store(), open_store()
        with ThreadPoolExecutor(1) as pool:
            for turn in range(5):
                waiting = pool.submit(first.wait, turn)
                second.append("a", pairs(1))
                assert waiting.result(_PATIENCE_SECONDS) == turn + 1

    def test_a_wait_for_a_later_position_sleeps_on_over_earlier_ones(self, store: Store) -> None:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.wait, 10)
            for _ in range(10):
                store.append("a", pairs(1))
            assert not waiting.done()
            store.append("a", pairs(1))
            assert waiting.result(_PATIENCE_SECONDS) == 11

    def test_ping_pong_between_two_handles_loses_no_wake_up(self, open_store: OpenStore) -> None:
        self.needs("handles")
        turns = 40

        def play(mine: int) -> Callable[[], int]:
            store = open_store()

            def game() -> int:
                for turn in range(turns):
                    if turn % 2 == mine:
                        store.append("game", pairs(1, first=turn + 1))
                    else:
                        assert store.wait(turn, _PATIENCE_SECONDS) == turn + 1
                return store.wait(turns - 1, _PATIENCE_SECONDS)

            return game

        with ThreadPoolExecutor(2) as pool:
            games = [pool.submit(play(0)), pool.submit(play(1))]
            assert [game.result() for game in games] == [turns, turns]

    def test_many_tasks_wait_at_once_and_each_is_woken_by_what_it_waits_for(self, store: Store) -> None:
        async def main() -> list[int]:
            waiting = [asyncio.create_task(store.wait_async(after % 3)) for after in range(60)]
            await asyncio.sleep(0)
            for _ in range(3):
                await asyncio.to_thread(store.append, "a", pairs(1))
            return await asyncio.gather(*waiting)

        assert all(head > after % 3 for after, head in enumerate(asyncio.run(main())))

    def test_a_cancelled_waiter_does_not_disturb_the_others(self, store: Store) -> None:
        async def main() -> int:
            cancelled = [asyncio.create_task(store.wait_async(0)) for _ in range(10)]
            waiting = asyncio.create_task(store.wait_async(0))
            await asyncio.sleep(0)
            for task in cancelled:
                task.cancel()
            ended = await asyncio.gather(*cancelled, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in ended)
            await asyncio.to_thread(store.append, "a", pairs(1))
            return await waiting

        assert asyncio.run(main()) == 1

    def test_an_async_follower_misses_nothing(self, store: Store) -> None:
        async def follow() -> list[int]:
            seen: list[int] = []
            while len(seen) < 60:
                await store.wait_async(len(seen))
                seen += positions(store.query(after=len(seen)))
            return seen

        def write() -> None:
            for _ in range(60):
                store.append("a", pairs(1))

        async def main() -> list[int]:
            writing = asyncio.create_task(asyncio.to_thread(write))
            seen = await follow()
            await writing
            return seen

        assert asyncio.run(main()) == list(range(1, 61))

    def test_waiters_of_several_event_loops_are_all_woken(self, store: Store) -> None:
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(lambda: asyncio.run(store.wait_async(0))) for _ in range(4)]
            store.append("a", pairs(1))
            assert [each.result(_PATIENCE_SECONDS) for each in waiting] == [1, 1, 1, 1]

    def test_closing_the_store_ends_every_wait(self, store: Store) -> None:
        caught: list[BaseException] = []

        def wait() -> None:
            try:
                store.wait(0)
            except StoreClosedError as error:
                caught.append(error)

        async def main() -> list[object]:
            waiting = [asyncio.create_task(store.wait_async(0)) for _ in range(3)]
            await asyncio.sleep(0.02)
            await asyncio.to_thread(store.close)
            return [type(each) for each in await asyncio.gather(*waiting, return_exceptions=True)]

        thread = threading.Thread(target=wait)
        thread.start()
        assert asyncio.run(main()) == [StoreClosedError] * 3
        assert _ended(thread)
        assert len(caught) == 1

    def test_an_async_wait_on_a_closed_store_is_refused(self, store: Store) -> None:
        store.close()
        with pytest.raises(StoreClosedError):
            asyncio.run(store.wait_async(0))
