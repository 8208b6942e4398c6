"""Whole apps on MariaDB beside the same ones on the log: the states of all streams, at any moment, and awaited."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from act_fast import Act, AsyncAct, Condition, Event, Query, State, count, total
from act_fast.stores.mysql.address import place_of
from tests.stores.mysql.stores import ask, connected
from tests.support.bank import Account, Deposited
from tests.support.mariadb import MariaDbServer
from tests.support.proxy import Proxy

STREAMS = 40


class Declared(State):
    balance: int = total(Deposited.amount)
    deposits: int = count(Deposited)


class Noted(Event):
    text: str


@pytest.fixture
def both(mariadb_url: str) -> Iterator[tuple[Act, Act]]:
    """The same done on a database and on the log, with streams that no state knows in between."""
    with ExitStack() as opened:
        apps = [opened.enter_context(Act(address, Account)) for address in (mariadb_url, "memory:")]
        for app in apps:
            for number in range(STREAMS):
                app.do(Account.open, f"s-{number}", owner=f"Owner {number}")
                app.do(Account.deposit_each, f"s-{number}", amounts=list(range(number % 7 + 1)))
                app.store.append(f"notes-{number}", [Noted("x")])
            app.do(Account.deposit_each, "long", amounts=[1] * 5000)
            app.close_stream(Account, "s-3")
        yield apps[0], apps[1]


def folded(app: Act, **options: object) -> list[tuple[object, ...]]:
    found = app.replay(Account, **options)  # type: ignore[arg-type]
    return [(stream, each.version, each.position, each.closed, each.state) for stream, each in found]


def test_a_replay_gives_the_same_states_in_the_same_order(both: tuple[Act, Act]) -> None:
    one, other = both
    assert folded(one) == folded(other)
    assert len(folded(one)) == STREAMS + 1
    for options in ({"at": 17}, {"at": 0}, {"streams": "1$"}, {"after": "s-30"}, {"streams": "^s-1", "after": "s-11"}):
        assert folded(one, **options) == folded(other, **options)


def test_every_moment_is_the_same(both: tuple[Act, Act]) -> None:
    one, other = both
    for stream in ("s-6", "s-3", "nobody"):
        history = [[(each.version, each.state) for each in app.history(Account, stream)] for app in both]
        assert history[0] == history[1]
        for position in (1, 20, 60, 10_000):
            states = [app.load(Account, stream, position=position) for app in both]
            assert (states[0].state, states[0].version) == (states[1].state, states[1].version)
    second = list(one.query(stream="s-6"))[1].created
    assert one.load(Account, "s-6", before=second).version == 1
    assert one.load(Account, "s-6", at=second).version == one.load(Account, "s-6").version
    assert one.load(Account, "s-6", at=second - timedelta(days=1)).version == 0
    assert other.load(Account, "s-6").version == one.load(Account, "s-6").version


def test_declared_states_are_folded_too(both: tuple[Act, Act], mariadb_url: str) -> None:
    _, other = both
    with Act(mariadb_url, Declared) as declared, Act(other.store, Declared) as expected:
        found = [(stream, each.state.balance, each.state.deposits) for stream, each in declared.replay(Declared)]
        assert found == [
            (stream, each.state.balance, each.state.deposits) for stream, each in expected.replay(Declared)
        ]
        assert len(found) == STREAMS + 1


def test_an_event_loop_goes_on_while_the_database_keeps_an_app_waiting(mariadb_url: str) -> None:
    async def main() -> int:
        app = AsyncAct(mariadb_url, Account)
        await app.do(Account.open, "a", owner="Ada")
        with connected(mariadb_url) as holder:
            ask(holder, f"select * from {place_of(mariadb_url).prefix}_log for update")
            waiting = asyncio.create_task(app.do(Account.deposit, "a", amount=5))
            for _ in range(50):
                assert not waiting.done()
                await asyncio.sleep(0.001)
            assert (await app.load(Account, "a")).state.balance == 0
            holder.rollback()
        balance = (await waiting).state.balance
        await app.close()
        return balance

    assert asyncio.run(main()) == 5


def test_a_warm_do_is_one_round_trip(mariadb: MariaDbServer, mariadb_url: str) -> None:
    trips = 0

    def asked(data: bytes) -> bool:
        nonlocal trips
        trips += 1
        return False

    with Proxy(mariadb.port) as proxy:
        proxy.asked = asked
        with Act(mariadb_url.replace(f":{mariadb.port}/", f":{proxy.port}/"), Account) as app:
            app.do(Account.open, "account-7", owner="Ada")
            app.do(Account.deposit, "account-7", amount=1)
            for amount in range(10):
                trips = 0
                app.do(Account.deposit, "account-7", amount=amount)
                assert trips == 1
            assert app.load(Account, "account-7").state.balance == 46
            assert trips == 2
            app.do(Account.deposit_each, "account-7", amounts=[1, 2])
            assert trips == 4
            unique = Condition(Query.of(names=["Counted"], tags=["t:1"]) | Query.of(tags=["t:2"]))
            app.store.append("a", [("Counted", b"1", ["t:1"])], condition=unique, key="k")
            assert trips == 6
