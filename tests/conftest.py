"""Fixtures that more than one part of the tests uses."""

import os
import random
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from act_fast import LogStore
from tests.support.kafka import KafkaBrokers, kafka_brokers
from tests.support.mariadb import MariaDbServer, mariadb_server
from tests.support.moto import MotoServer, moto_server
from tests.support.nats import NatsServers, nats_servers
from tests.support.servers import PostgresServer, Unavailable, postgres_server, unavailable
from tests.support.time_limit import bounded

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a job in the background is started. What the tests start inherits it, and would not hear of their Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


T = TypeVar("T")

SMALL_SEGMENT_BYTES = 64 * 1024
SEGMENT_BYTES = 4 * 1024 * 1024

_numbers = count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    with bounded(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with bounded(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    with bounded(item):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copies of databases go where they go with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACT_FAST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let reports cross between processes: what is no UTF-8, such as half a surrogate pair, is spelled out."""
    report = yield
    report.sections = [(name, spelled_out(text)) for name, text in report.sections]
    if report.longrepr is not None and spelled_out(text := str(report.longrepr)) != text:
        report.longrepr = spelled_out(text)
    return report


def spelled_out(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Where a store may be made; nothing is there yet."""
    return tmp_path / "store.act"


@pytest.fixture
def open_store(store_path: Path) -> Iterator[Callable[..., LogStore]]:
    """Opens the store at `store_path`, as often as asked and with any option; closes what is left open.

    Segments are small, so that a few hundred events fill several of them.
    """
    opened: list[LogStore] = []

    def open_one(**options: Any) -> LogStore:
        store = LogStore(store_path, **{"segment_bytes": SMALL_SEGMENT_BYTES, **options})
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture(params=["on disk", "in memory"])
def store(request: pytest.FixtureRequest, store_path: Path) -> Iterator[LogStore]:
    """An empty store: once on disk, once in memory, since both promise the same."""
    if request.param == "on disk":
        opened = LogStore(store_path, segment_bytes=SEGMENT_BYTES)
    else:
        opened = LogStore.memory(segment_bytes=SEGMENT_BYTES)
    with opened:
        yield opened


def _started(server: AbstractContextManager[T]) -> Iterator[T | Unavailable]:
    """A server for as long as a session lasts, or why there is none."""
    with ExitStack() as ending:
        try:
            found: T | Unavailable = ending.enter_context(server)
        except Unavailable as reason:
            found = reason
        yield found


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresServer | Unavailable]:
    yield from _started(postgres_server())


@pytest.fixture
def postgres(_postgres: PostgresServer | Unavailable) -> PostgresServer:
    """A PostgreSQL server, the same for all tests of a session."""
    if isinstance(_postgres, Unavailable):
        unavailable(_postgres)
    return _postgres


@pytest.fixture
def own_postgres(_postgres: PostgresServer | Unavailable) -> Iterator[PostgresServer]:
    """A PostgreSQL server that no other test uses, so that it may be stopped."""
    if isinstance(_postgres, Unavailable):
        unavailable(_postgres)
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The address of a store that no other test has; its tables are not made yet."""
    return postgres.url(schema=f"test_{next(_numbers)}")


@pytest.fixture(scope="session")
def _mariadb() -> Iterator[MariaDbServer | Unavailable]:
    yield from _started(mariadb_server())


@pytest.fixture
def mariadb(_mariadb: MariaDbServer | Unavailable) -> MariaDbServer:
    """A MariaDB server, the same for all tests of a session."""
    if isinstance(_mariadb, Unavailable):
        unavailable(_mariadb)
    return _mariadb


@pytest.fixture
def own_mariadb(_mariadb: MariaDbServer | Unavailable) -> Iterator[MariaDbServer]:
    """A MariaDB server that no other test uses, so that it may be stopped."""
    if isinstance(_mariadb, Unavailable):
        unavailable(_mariadb)
    with mariadb_server() as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb: MariaDbServer) -> str:
    """The address of a store that no other test has; its tables are not made yet."""
    return mariadb.url(prefix=f"test_{next(_numbers)}")


@pytest.fixture(scope="session")
def _kafka() -> Iterator[KafkaBrokers | Unavailable]:
    yield from _started(kafka_brokers(3))


@pytest.fixture
def kafka_cluster(_kafka: KafkaBrokers | Unavailable) -> KafkaBrokers:
    """Three Kafka brokers, the same for all tests of a session."""
    if isinstance(_kafka, Unavailable):
        unavailable(_kafka)
    return _kafka


@pytest.fixture(scope="session")
def _nats() -> Iterator[NatsServers | Unavailable]:
    yield from _started(nats_servers(3))


@pytest.fixture
def nats_cluster(_nats: NatsServers | Unavailable) -> NatsServers:
    """Three NATS servers, the same for all tests of a session."""
    if isinstance(_nats, Unavailable):
        unavailable(_nats)
    return _nats


@pytest.fixture(scope="session")
def _moto() -> Iterator[MotoServer | Unavailable]:
    yield from _started(moto_server())


@pytest.fixture
def moto(_moto: MotoServer | Unavailable) -> MotoServer:
    """A server that speaks S3 and DynamoDB, the same for all tests of a session."""
    if isinstance(_moto, Unavailable):
        unavailable(_moto)
    return _moto


@pytest.fixture
def news_threads() -> Callable[[], int]:
    """How many threads wait for news, besides those that earlier tests have left to end by themselves."""

    def found() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "act-fast-news"}

    earlier = found()
    return lambda: len(found() - earlier)


@pytest.fixture
def seed() -> int:
    """The seed of a test that plays dice; printed, and given again with ACT_FAST_SEED."""
    chosen = int(os.environ.get("ACT_FAST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"ACT_FAST_SEED={chosen}")
    return chosen


@pytest.fixture
def dice(seed: int) -> random.Random:
    """A source of chance that starts from the printed seed."""
    return random.Random(seed)
