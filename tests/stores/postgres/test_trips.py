"""What a verb costs in round trips, and that sparing one never decides on an old state."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from act_fast import (
    Act,
    Append,
    ConcurrencyError,
    Condition,
    ConditionError,
    InvariantError,
    Query,
    StreamClosedError,
    ValidationError,
)
from act_fast.stores.postgres.store import PostgresStore
from tests.stores.postgres.stores import numbered
from tests.support.bank import Account
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer


class Trips:
    """A network that counts how often a client asks."""

    def __init__(self, proxy: Proxy) -> None:
        self._count = 0
        proxy.asked = self._asked

    def _asked(self, data: bytes) -> bool:
        self._count += 1
        return False

    def since(self) -> int:
        """How many there were since this was asked last."""
        count, self._count = self._count, 0
        return count


@pytest.fixture
def counted(postgres: PostgresServer, postgres_url: str) -> Iterator[tuple[Trips, str]]:
    with Proxy(postgres.port) as proxy:
        address = postgres_url.replace(f":{postgres.port}/", f":{proxy.port}/")
        yield Trips(proxy), f"{address}&listen=false"


@pytest.fixture
def two(postgres_url: str) -> Iterator[tuple[Act, Act]]:
    """Two programs on one store, each with a cache of its own."""
    with ExitStack() as opened:
        yield (
            opened.enter_context(Act(postgres_url, Account, debug=True)),
            opened.enter_context(Act(postgres_url, Account, debug=True)),
        )


def test_a_warm_do_is_one_round_trip(counted: tuple[Trips, str]) -> None:
    trips, url = counted
    with Act(url, Account) as app:
        app.do(Account.open, "account-7", owner="Ada")
        app.do(Account.deposit, "account-7", amount=1)
        trips.since()
        for amount in range(10):
            app.do(Account.deposit, "account-7", amount=amount)
            assert trips.since() == 1
        assert app.load(Account, "account-7").state.balance == 46
        assert trips.since() == 1


def test_a_cold_load_is_two_round_trips_and_three_with_a_snapshot(counted: tuple[Trips, str]) -> None:
    trips, url = counted
    with Act(url, Account) as app:
        app.do(Account.open, "account-7", owner="Ada")
    for expected in (2, 3):
        with Act(url, Account) as app:
            assert app.store.head == 1
            trips.since()
            assert app.load(Account, "account-7").state.owner == "Ada"
            assert trips.since() == expected
            app.snapshot(Account, "account-7")


def test_the_verbs_of_the_store_are_one_round_trip_each(counted: tuple[Trips, str]) -> None:
    trips, url = counted
    with PostgresStore(url) as store:
        store.append("a", numbered(1))
        assert store.head == 1
        trips.since()
        for use in (
            lambda: store.append("a", numbered(2)),
            lambda: store.head,
            lambda: store.version("a"),
            lambda: list(store.load("a")),
            lambda: store.names(),
            lambda: store.save_snapshot("a", 1, b"x"),
            lambda: store.latest_snapshot("a"),
        ):
            use()
            assert trips.since() == 1
        list(store.query(stream="a", after=1))
        assert trips.since() == 2


def test_tags_conditions_and_keys_cost_no_round_trip_of_their_own(counted: tuple[Trips, str]) -> None:
    trips, url = counted
    with PostgresStore(url) as store:
        store.append("a", numbered(1))
        assert store.head == 1
        tagged = ("Counted", b"1", ["t:1", "t:2"])
        unique = Condition(Query.of(names=["Counted"], tags=["t:1", "t:2"]) | Query.of(tags=["t:3"]))
        trips.since()
        store.append("a", [tagged], condition=unique, key="k")
        assert trips.since() == 1
        with pytest.raises(ConditionError):
            store.append_many([Append("a", [tagged, tagged])], expected_versions={"b": 0}, condition=unique)
        assert trips.since() == 1
        assert [event.position for event in store.query(tags=["t:1", "t:2"])] == [2]
        assert trips.since() == 2  # where the log ends, and what there is


def test_an_old_state_is_not_what_an_action_is_refused_for(two: tuple[Act, Act]) -> None:
    one, other = two
    one.do(Account.deposit, "a", amount=5)
    with pytest.raises(InvariantError):
        one.do(Account.withdraw, "a", amount=1)
    other.do(Account.open, "a", owner="Ada")
    assert one.do(Account.withdraw, "a", amount=1).state.balance == 4


def test_an_old_state_is_not_what_nothing_is_done_for(two: tuple[Act, Act]) -> None:
    one, other = two
    assert one.do(Account.open, "a", owner="Ada").version == 1
    other.do(Account.deposit, "a", amount=5)
    found = one.do(Account.open, "a", owner="Bob")
    assert (found.version, found.state.balance, found.state.owner) == (2, 5, "Ada")
    assert one.do(Account.open, "a", owner="Bob").version == 2


def test_an_old_state_costs_an_action_no_retry(two: tuple[Act, Act]) -> None:
    one, other = two
    one.do(Account.open, "a", owner="Ada")
    for turn in range(1, 6):
        other.do(Account.deposit_each, "a", amounts=[1, 1])
        assert one.do(Account.deposit, "a", amount=1).state.balance == 3 * turn
    assert [event.version for event in one.query()] == list(range(1, 17))


def test_an_expected_version_is_that_of_the_stream_and_not_of_an_old_state(two: tuple[Act, Act]) -> None:
    one, other = two
    one.do(Account.open, "a", owner="Ada")
    other.do(Account.deposit, "a", amount=5)
    assert one.expecting(2).do(Account.deposit, "a", amount=1).version == 3
    other.do(Account.deposit, "a", amount=5)
    with pytest.raises(ConcurrencyError) as caught:
        one.expecting(3).do(Account.deposit, "a", amount=1)
    assert (caught.value.expected, caught.value.actual) == (3, 4)


def test_a_stream_that_was_closed_elsewhere_is_closed(two: tuple[Act, Act]) -> None:
    one, other = two
    one.do(Account.open, "a", owner="Ada")
    other.close_stream(Account, "a")
    for _ in range(2):
        with pytest.raises(StreamClosedError):
            one.do(Account.deposit, "a", amount=1)


def test_what_an_action_raises_is_raised_once_the_state_is_known_to_be_current(two: tuple[Act, Act]) -> None:
    one, _ = two
    one.do(Account.open, "a", owner="Ada")
    with pytest.raises(ValidationError):
        one.do(Account.deposit, "a", amount="five")  # type: ignore[arg-type]
    assert one.load(Account, "a").version == 1


def test_threads_that_append_at_once_share_round_trips(counted: tuple[Trips, str]) -> None:
    threads, each = 16, 20
    trips, url = counted
    with PostgresStore(url) as store:
        together = threading.Barrier(threads + 1)

        def append(stream: str) -> None:
            together.wait()
            for number in range(each):
                store.append(stream, numbered(1), expected_version=number)

        with ThreadPoolExecutor(threads) as pool:
            done = [pool.submit(append, f"stream-{number}") for number in range(threads)]
            store.append("before", numbered(1))
            trips.since()
            together.wait()
            for one in done:
                one.result()
        assert trips.since() < threads * each / 4
        assert store.head == threads * each + 1
