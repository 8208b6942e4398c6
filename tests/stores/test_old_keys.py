"""Keys that grow old while many ask: in its time, each is used once, and whoever asks hears of that use."""

import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from act_fast import KeyReusedError, LogStore
from act_fast.stores.mysql.address import place_of as place_in_mysql
from act_fast.stores.mysql.store import MySqlStore
from act_fast.stores.ordered.memory import Faults, MemoryEngine
from act_fast.stores.port import Store
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.store import PostgresStore
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.mysql.stores import ask, connected
from tests.stores.replicated.nodes import level
from tests.support.processes import Tell, run

DAY = timedelta(days=1)
DAY_US = 86_400_000_000
THREADS = 8
BEGAN_NS = time.time_ns()
OLDER = {"events": ["created_us"], "streams": ["first_us", "last_us"]}
"""What tells in a database when something was appended."""


def append(store: Store, key: str, data: bytes = b"1") -> int:
    """Where the event is that was appended under a key."""
    return store.append("s", [("Asked", data)], key=key).first_position  # type: ignore[call-arg]


def together(store: Store, key: str) -> list[int]:
    """What many hear that ask at once."""
    start = threading.Barrier(THREADS)

    def asking(_: int) -> int:
        start.wait(60)
        return append(store, key)

    with ThreadPoolExecutor(THREADS) as threads:
        return [*threads.map(asking, range(THREADS))]


def check_used_again(opened: Callable[[], Store], head: int) -> None:
    """An old key is used once more, by one of many threads of two handles."""
    with opened() as one, opened() as other, ThreadPoolExecutor(2) as both:
        for turn in range(3):
            key = f"key-{turn}"
            found = {
                at for answers in both.map(lambda store, key=key: together(store, key), (one, other)) for at in answers
            }
            assert found == {head + turn + 1}
        assert one.head == head + 3
        with pytest.raises(KeyReusedError) as raised:
            append(other, "key-0", b"2")
        assert raised.value.position == head + 1
        assert one.verify().healthy


def test_of_many_that_ask_under_an_old_key_one_appends_in_postgres(postgres_url: str) -> None:
    with PostgresStore(postgres_url) as store:
        assert [append(store, f"key-{turn}") for turn in range(3)] == [1, 2, 3]
    place = place_of(postgres_url)
    with psycopg.connect(place.conninfo, autocommit=True) as admin:
        for table, columns in OLDER.items():
            older = sql.SQL(", ").join(
                sql.SQL("{0} = {0} - {1}").format(sql.Identifier(each), sql.Literal(DAY_US)) for each in columns
            )
            admin.execute(sql.SQL("update {} set {}").format(sql.Identifier(place.schema, table), older))
    check_used_again(lambda: PostgresStore(postgres_url, keys_for=DAY), 3)


def test_of_many_that_ask_under_an_old_key_one_appends_in_mariadb(mariadb_url: str) -> None:
    with MySqlStore(mariadb_url) as store:
        assert [append(store, f"key-{turn}") for turn in range(3)] == [1, 2, 3]
    with connected(mariadb_url, autocommit=True) as connection:
        for table, columns in OLDER.items():
            older = ", ".join(f"{each} = {each} - {DAY_US}" for each in columns)
            ask(connection, f"update {place_in_mysql(mariadb_url).prefix}_{table} set {older}")
    check_used_again(lambda: MySqlStore(mariadb_url, keys_for=DAY), 3)


def test_of_many_that_ask_under_an_old_key_one_appends_in_a_log(tmp_path: Path) -> None:
    old = tmp_path / "old.jsonl"
    with LogStore(tmp_path / "first.act", durability="os") as store:
        for turn in range(3):
            append(store, f"key-{turn}")
        store.export(old)
    created = f"{datetime.now(UTC) - DAY:%Y-%m-%dT%H:%M:%S}Z"
    lines = old.read_text().splitlines()
    old.write_text("".join(f"{_with_created(line, created)}\n" for line in lines))
    path = tmp_path / "s.act"
    with LogStore(path, durability="os") as store:
        store.restore(old, replace=True)
    check_used_again(lambda: LogStore(path, durability="os", keys_for=DAY), 3)


def test_of_many_processes_that_ask_under_an_old_key_one_appends(tmp_path: Path) -> None:
    old, path = tmp_path / "old.jsonl", tmp_path / "s.act"
    with LogStore(path, durability="os") as store:
        for turn in range(20):
            append(store, f"key-{turn}")
        store.export(old)
        lines = old.read_text().splitlines()
        old.write_text("".join(f"{_with_created(line, '2020-01-01T00:00:00Z')}\n" for line in lines))
        store.restore(old, replace=True)

    def body(tell: Tell) -> None:
        with LogStore(path, durability="os", keys_for=DAY) as store:
            for turn in range(20):
                tell(append(store, f"key-{turn}"))

    said = run(*[body] * 4)
    assert all(each == said[0] for each in said)
    assert sorted(map(int, said[0])) == list(range(21, 41))
    with LogStore(path, durability="os") as store:
        assert store.head == 40
        assert store.verify().healthy


def test_while_time_passes_a_key_is_used_once_a_day() -> None:
    with LogStore.memory(keys_for=DAY) as store:
        clock = store.clock()
        assert clock is not None
        answers: list[tuple[int, int, int]] = []
        ended = threading.Event()

        def asking() -> None:
            while not ended.is_set():
                before = clock.now_us()
                position = append(store, "key")
                answers.append((before, position, clock.now_us()))

        with ThreadPoolExecutor(THREADS) as threads:
            asked = [threads.submit(asking) for _ in range(THREADS)]
            while store.head < 20:
                clock.advance(6 * 3_600_000)
            ended.set()
            for each in asked:
                each.result()
        created = {event.position: _us(event.created) for event in store.query()}
    times = list(created.values())
    assert all(later - earlier > DAY_US for earlier, later in pairwise(times))
    assert len({position for _, position, _ in answers}) == len(created)
    for before, position, after in answers:
        assert before - DAY_US <= created[position] <= after


@pytest.mark.parametrize("seed", range(int(os.environ.get("ACT_FAST_PROGRAMS", "3"))))
def test_nodes_whose_clocks_differ_agree_on_what_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """So does a node that replays the log when all of it is old."""
    hour_us = 3_600_000_000
    rng = random.Random(seed)
    ahead_us = [0, rng.randrange(-10, 0) * hour_us, rng.randrange(1, 11) * hour_us]
    passed_us, own = [0], threading.local()

    def time_ns() -> int:
        return BEGAN_NS + (passed_us[0] + getattr(own, "ahead_us", 0)) * 1000

    monkeypatch.setattr("act_fast.stores.once.time_ns", time_ns)
    monkeypatch.setattr("act_fast.stores.replicated.proposer.time.time_ns", time_ns)
    engine = MemoryEngine(Faults(seed=seed, lost=0.03, landed=0.03, late=0.03, doubled=0.1))
    answers: set[tuple[str, int]] = set()

    def open_node(at: int) -> ReplicatedStore:
        return ReplicatedStore(engine.open(), tmp_path / str(at), keys_for=DAY)

    with ExitStack() as opened:
        stores = [opened.enter_context(open_node(at)) for at in range(3)]

        def asking(at: int) -> None:
            own.ahead_us = ahead_us[at]
            dice = random.Random(f"{seed} {at} {threading.get_ident()}")
            for _ in range(40):
                key = dice.choice("abc")
                answers.add((key, append(stores[at], key)))
                passed_us[0] += dice.randrange(hour_us)

        with ThreadPoolExecutor(6) as threads:
            for done in [threads.submit(asking, at % 3) for at in range(6)]:
                done.result()
        before = level(stores)
        passed_us[0] += 400 * DAY_US
        late = opened.enter_context(open_node(3))
        assert level([*stores, late]) == before
        uses = {(key, each.position): _us(each.created) for key in "abc" for each in late.query(tags=[f"key={key}"])}
        assert answers == uses.keys()
        assert len(uses) == late.head > 3
        for key in "abc":
            times = sorted(created for (used, _), created in uses.items() if used == key)
            assert all(later - earlier > DAY_US for earlier, later in pairwise(times))
        assert append(late, "a") == late.head == len(uses) + 1


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _with_created(line: str, created: str) -> str:
    before, mark, rest = line.partition('"created":"')
    return f"{before}{mark}{created}{rest[rest.index(chr(34)) :]}"
