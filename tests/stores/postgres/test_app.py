"""Whole apps on PostgreSQL beside the same ones on the log: the states of all streams, at any moment, and awaited."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from act_fast import Act, AsyncAct, Event, State, count, total
from act_fast.stores.database import queries
from act_fast.stores.postgres.address import place_of
from tests.support.bank import Account, Deposited

STREAMS = 40


class Declared(State):
    balance: int = total(Deposited.amount)
    deposits: int = count(Deposited)


class Noted(Event):
    text: str


@pytest.fixture
def both(postgres_url: str) -> Iterator[tuple[Act, Act]]:
    """The same done on a database and on the log, with streams that no state knows in between."""
    with ExitStack() as opened:
        apps = [opened.enter_context(Act(address, Account)) for address in (postgres_url, "memory:")]
        for app in apps:
            for number in range(STREAMS):
                app.do(Account.open, f"s-{number}", owner=f"Owner {number}")
                app.do(Account.deposit_each, f"s-{number}", amounts=list(range(number % 7 + 1)))
                app._engine.store.append(f"notes-{number}", [Noted("x")])
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


def test_a_replay_asks_once_for_many_streams(both: tuple[Act, Act], monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = both
    asked = 0
    real = queries.Connections.fetch

    def fetch(self: queries.Connections, question: object, given: object = ()) -> list[tuple[object, ...]]:
        nonlocal asked
        asked += 1
        return real(self, question, given)  # type: ignore[arg-type]

    monkeypatch.setattr(queries.Connections, "fetch", fetch)
    assert len(folded(one)) == STREAMS + 1
    assert asked < STREAMS // 2


def test_a_page_that_is_full_of_bytes_leaves_no_stream_cut(
    both: tuple[Act, Act], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    for page_bytes in (1, 100, 2000, 20_000):
        monkeypatch.setattr(queries, "PAGE_BYTES", page_bytes)
        assert folded(one, streams="^s-") == folded(other, streams="^s-")


def test_every_moment_is_the_same(both: tuple[Act, Act]) -> None:
    one, other = both
    for stream in ("s-6", "s-3", "nobody"):
        history = [[(each.version, each.state) for each in app.history(Account, stream)] for app in both]
        assert history[0] == history[1]
        for version in range(1, 5):
            assert one.load(Account, stream, at=version).state == other.load(Account, stream, at=version).state
            assert one.load(Account, stream, before=version).state == other.load(Account, stream, before=version).state
        for position in (1, 20, 60, 10_000):
            states = [app.load(Account, stream, position=position) for app in both]
            assert (states[0].state, states[0].version) == (states[1].state, states[1].version)
    second = list(one.query(stream="s-6"))[1].created
    assert one.load(Account, "s-6", before=second).version == 1
    assert one.load(Account, "s-6", at=second).version == one.load(Account, "s-6").version
    assert one.load(Account, "s-6", at=second - timedelta(days=1)).version == 0


def test_declared_states_are_folded_too(both: tuple[Act, Act], postgres_url: str) -> None:
    _, other = both
    with Act(postgres_url, Declared) as declared, Act(other._engine.store, Declared) as expected:
        found = [(stream, each.state.balance, each.state.deposits) for stream, each in declared.replay(Declared)]
        assert found == [
            (stream, each.state.balance, each.state.deposits) for stream, each in expected.replay(Declared)
        ]
        assert len(found) == STREAMS + 1


def test_an_event_loop_goes_on_while_the_database_keeps_an_app_waiting(postgres_url: str) -> None:
    place = place_of(postgres_url)

    async def main() -> int:
        app = AsyncAct(postgres_url, Account)
        await app.do(Account.open, "a", owner="Ada")
        with psycopg.connect(place.conninfo) as holder:
            holder.execute(sql.SQL("select 1 from {}.log for update").format(sql.Identifier(place.schema)))
            waiting = asyncio.create_task(app.do(Account.deposit, "a", amount=5))
            ticks = 0
            while ticks < 50:
                assert not waiting.done()
                await asyncio.sleep(0.001)
                ticks += 1
            assert (await app.load(Account, "a")).state.balance == 0
            holder.rollback()
        balance = (await waiting).state.balance
        await app.close()
        return balance

    assert asyncio.run(main()) == 5
