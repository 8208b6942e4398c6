"""The cache: live states to start from, never the last word."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from act_fast import Act, LogStore, ValidationError
from act_fast._loading.cache import Cache, Entry
from tests.support.bank import Account, Deposited


def entry(version: int) -> Entry[str]:
    return Entry(f"at {version}", version, version, False)


def test_a_cold_load_replays_and_a_warm_one_does_not() -> None:
    with LogStore.memory() as store:
        store.append("account-7", [Deposited(1)] * 5)
        with Act(store, Account) as app:
            cold, warm = app.load(Account, "account-7"), app.load(Account, "account-7")
    assert (cold.replayed, cold.cached) == (5, False)
    assert (warm.replayed, warm.cached) == (0, True)


def test_a_do_leaves_the_state_in_the_cache(app: Act) -> None:
    app.do(Account.deposit, "account-7", amount=1)
    snapshot = app.do(Account.deposit, "account-7", amount=1)
    assert (snapshot.replayed, snapshot.cached) == (0, True)


def test_commits_of_others_are_seen_at_once(app: Act) -> None:
    app.do(Account.deposit, "account-7", amount=1)
    app.store.append("account-7", [Deposited(10)])
    snapshot = app.load(Account, "account-7")
    assert (snapshot.state.balance, snapshot.replayed, snapshot.cached) == (11, 1, True)


def test_an_app_without_a_cache_works_the_same() -> None:
    with Act("memory:", Account, cache_max=0) as app:
        app.do(Account.deposit, "account-7", amount=1)
        snapshot = app.do(Account.deposit, "account-7", amount=1)
        assert (snapshot.state.balance, snapshot.replayed, snapshot.cached) == (2, 1, False)
        assert app.cache_info().size == 0


def test_the_cache_is_bounded_and_lets_go_of_what_was_not_asked_for_the_longest() -> None:
    with Act("memory:", Account, cache_max=2) as app:
        for number in (1, 2):
            app.do(Account.deposit, f"account-{number}", amount=1)
        app.load(Account, "account-1")
        app.do(Account.deposit, "account-3", amount=1)
        assert app.load(Account, "account-1").cached
        assert not app.load(Account, "account-2").cached
        assert app.cache_info().size == 2


def test_the_cache_counts_hits_and_misses(app: Act) -> None:
    app.load(Account, "account-7")
    app.do(Account.deposit, "account-7", amount=1)
    app.load(Account, "account-7")
    info = app.cache_info()
    assert (info.hits, info.misses, info.size, info.size_max) == (1, 2, 1, 10_000)


def test_an_entry_of_a_later_version_stays() -> None:
    cache = Cache(10)
    cache.put(("Account", "a"), entry(5))
    cache.put(("Account", "a"), entry(4))
    assert cache.get(("Account", "a")) is not None
    assert cache.get(("Account", "a")).version == 5  # type: ignore[union-attr]


def test_a_log_that_is_shorter_than_the_cache_thinks_is_read_from_its_beginning(
    open_store: Callable[..., LogStore],
) -> None:
    store = open_store()
    app = Act(store, Account)
    app.do(Account.deposit, "account-7", amount=1)
    key = (Account, "account-7")
    held = app._engine.cache.get(key)
    assert held is not None
    app._engine.cache.put(key, Entry(Account(balance=99), held.version + 7, held.position + 7, False))
    assert app.load(Account, "account-7").state.balance == 1


@pytest.mark.parametrize("size", [-1, True, "10"])
def test_a_size_that_is_none_is_refused(size: int) -> None:
    with pytest.raises(ValidationError):
        Act("memory:", Account, cache_max=size)


def test_many_threads_may_use_one_cache() -> None:
    cache = Cache(50)

    def work(thread: int) -> None:
        for number in range(2000):
            key = ("Account", str((number * (thread + 1)) % 80))
            found = cache.get(key)
            cache.put(key, entry(1 if found is None else found.version + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert cache.info().size <= 50


class Swapped:
    """A store in whose place another one may be put, as a restore does."""

    def __init__(self, store: LogStore) -> None:
        self.store = store

    def append(self, *args: Any, **kwargs: Any) -> Any:
        return self.store.append(*args, **kwargs)

    def load(self, *args: Any, **kwargs: Any) -> Any:
        return self.store.load(*args, **kwargs)

    def version(self, stream: str) -> int:
        return self.store.version(stream)

    def latest_snapshot(self, stream: str, *, at_or_below: int | None = None) -> Any:
        return self.store.latest_snapshot(stream, at_or_below=at_or_below)


@pytest.mark.parametrize("at", [1, 2, 3, 9])
def test_time_travel_does_not_start_from_what_was_cached_of_a_longer_log(at: int) -> None:
    with LogStore.memory() as long, LogStore.memory() as short:
        long.append("account-7", [Deposited(1)] * 3)
        short.append("account-7", [Deposited(100)] * 2)
        swapped = Swapped(long)
        store: Any = swapped
        app = Act(store, Account)
        assert app.load(Account, "account-7").state.balance == 3
        swapped.store = short
        found = app.load(Account, "account-7", at=at)
        assert (found.version, found.state.balance) == (min(at, 2), 100 * min(at, 2))
        assert list(app.history(Account, "account-7"))[-1].state.balance == 200


def test_time_travel_starts_from_the_cache_only_where_it_comes_before_the_moment(app: Act) -> None:
    for _ in range(5):
        app.do(Account.deposit, "account-7", amount=1)
    fresh = Act(app.store, Account)
    assert fresh.load(Account, "account-7", at=3).replayed == 3
    assert fresh.load(Account, "account-7").replayed == 5, "a moment leaves the cache as it is"
    app.do(Account.deposit, "account-7", amount=1)
    now, before, then = (fresh.load(Account, "account-7", at=at) for at in (6, 5, 4))
    assert [each.state.balance for each in (now, before, then)] == [6, 5, 4]
    assert [each.replayed for each in (now, before, then)] == [1, 0, 4]
    assert [each.cached for each in (now, before, then)] == [True, True, False]
