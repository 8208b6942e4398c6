"""Appends that are held open in a transaction while others append: what ids from a sequence get wrong.

A store whose positions become visible in another order than they were given makes a follower skip events: it has seen
position 8, and position 7 is committed after that. Nothing says so, then or later.
"""

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol, TypeAlias

import pytest

from act_fast.stores.port import Store
from act_fast.testing.conformance.cases import Cases, OpenStore, pairs, positions

__all__ = ["BeginAppend", "Begun", "Transactions"]

_PATIENCE_SECONDS = 60.0
_SCHEDULES = int(os.environ.get("ACT_FAST_SCHEDULES", "50"))


class Begun(Protocol):
    """An append in a transaction that is still open."""

    def commit(self) -> None:
        """Commit it."""
        ...

    def roll_back(self) -> None:
        """Undo it."""
        ...


BeginAppend: TypeAlias = Callable[[str, int], AbstractContextManager[Begun]]
"""Appends so many events to a stream in a transaction of its own, as another program would, and leaves it open. It may
wait until another such transaction is over."""


class Transactions(Cases):
    """What holds when others take their time between writing and committing."""

    @pytest.fixture
    def begin_append(self) -> BeginAppend:
        """To be overridden where the store has transactions that can be held open."""
        raise NotImplementedError(f"{type(self).__name__} must have a fixture `begin_append`, or lack 'transactions'")

    @pytest.fixture
    def begin(self, request: pytest.FixtureRequest) -> BeginAppend:
        """`begin_append`, or the reason why there is none."""
        self.needs("transactions")
        found: BeginAppend = request.getfixturevalue("begin_append")
        return found

    @pytest.mark.parametrize("committed", [True, False], ids=["committed", "rolled back"])
    def test_no_follower_passes_an_append_that_is_yet_to_be_committed(
        self, begin: BeginAppend, open_store: OpenStore, committed: bool
    ) -> None:
        follower, others = _Follower(open_store()), [open_store() for _ in range(3)]
        others[0].append("before", pairs(1))
        with ThreadPoolExecutor(len(others)) as pool:
            with begin("held", 2) as held:
                writing = [pool.submit(each.append, f"s-{n}", pairs(1)) for n, each in enumerate(others)]
                for _ in range(20):
                    follower.look()
                    wait(writing, timeout=0.005)
                held.commit() if committed else held.roll_back()
            for each in writing:
                each.result(_PATIENCE_SECONDS)
        follower.look()
        assert follower.seen == list(range(1, (6 if committed else 4) + 1))
        assert others[0].version("held") == (2 if committed else 0)
        assert others[0].verify().healthy

    def test_readers_go_on_while_a_transaction_is_held_open(self, begin: BeginAppend, open_store: OpenStore) -> None:
        store = open_store()
        store.append("a", pairs(3))
        with begin("held", 2) as held, ThreadPoolExecutor(1) as pool:
            read = pool.submit(lambda: (store.head, positions(store.query()), store.version("held")))
            assert read.result(_PATIENCE_SECONDS) == (3, [1, 2, 3], 0)
            held.commit()
        assert (store.head, store.version("held")) == (5, 2)

    def test_in_any_schedule_no_follower_skips_or_repeats(
        self, begin: BeginAppend, open_store: OpenStore, dice: random.Random
    ) -> None:
        stores = [open_store() for _ in range(2)]
        follower = _Follower(open_store())
        for number in range(_SCHEDULES):
            schedule = _Schedule(dice, number, begin, stores)
            with ThreadPoolExecutor(schedule.size) as pool:
                writing = schedule.begin(pool)
                while wait(writing, timeout=0.001).not_done:
                    follower.look()
                schedule.ended(writing)
            follower.look()
            assert len(follower.seen) == stores[0].head, f"schedule {number}"
        assert stores[0].verify().healthy


class _Follower:
    """Reads on from where it has come to, and believes that nothing can appear behind it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seen: list[int] = []

    def look(self) -> None:
        last = self.seen[-1] if self.seen else 0
        found = positions(self._store.query(after=last))
        assert found == list(range(last + 1, last + 1 + len(found))), f"skipped: {found} came after {last}"
        self.seen += found


class _Schedule:
    """A few writers at once: some hold their transaction open for a while, some of these undo it in the end."""

    def __init__(self, dice: random.Random, number: int, begin: BeginAppend, stores: list[Store]) -> None:
        self._begin = begin
        self._stores = stores
        self._names = [f"schedule-{number}-{each}" for each in range(dice.randrange(2, 5))]
        self._kinds = [dice.choice(["plain", "commit", "roll back"]) for _ in self._names]
        self._held = [dice.random() * 0.01 for _ in self._names]
        self._counts = [dice.randrange(1, 4) for _ in self._names]
        self._start = threading.Barrier(len(self._names))

    @property
    def size(self) -> int:
        return len(self._names)

    def begin(self, pool: ThreadPoolExecutor) -> list[Future[None]]:
        return [pool.submit(self._write, number) for number in range(self.size)]

    def ended(self, writing: list[Future[None]]) -> None:
        for number, each in enumerate(writing):
            each.result(_PATIENCE_SECONDS)
            expected = 0 if self._kinds[number] == "roll back" else self._counts[number]
            assert self._stores[0].version(self._names[number]) == expected

    def _write(self, number: int) -> None:
        name, count, kind = self._names[number], self._counts[number], self._kinds[number]
        self._start.wait(_PATIENCE_SECONDS)
        if kind == "plain":
            self._stores[number % len(self._stores)].append(name, pairs(count))
            return
        with ExitStack() as ending:
            begun = ending.enter_context(self._begin(name, count))
            threading.Event().wait(self._held[number])
            begun.commit() if kind == "commit" else begun.roll_back()
