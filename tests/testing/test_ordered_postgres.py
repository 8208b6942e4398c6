"""The ordered log in PostgreSQL keeps the rules of `OrderedLog`; and what is particular to it."""

import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import psycopg
import pytest

from act_fast.errors import EngineAwayError, EngineRefusedError, NotDurableError, StoreFullError, ValidationError
from act_fast.stores.ordered.postgres import PostgresOrderedLog
from act_fast.testing.conformance.ordered_log import Disturb, OpenLog, OrderedLogConformance, read_all
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer, free_port

_numbers = count(1)


def log_at(server: PostgresServer, **options: str) -> str:
    return server.url(**options).replace("postgresql://", "postgresql+log://")


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return log_at(postgres, schema=f"log_{next(_numbers)}", durability="engine")


class TestPostgresLog(OrderedLogConformance):
    @pytest.fixture
    def proxy(self, postgres: PostgresServer) -> Iterator[Proxy]:
        with Proxy(postgres.port) as proxy:
            yield proxy

    @pytest.fixture
    def open_log(self, postgres: PostgresServer, url: str, proxy: Proxy) -> Iterator[OpenLog]:
        address = url.replace(str(postgres.port), str(proxy.port))
        with ExitStack() as opened:
            yield lambda: opened.enter_context(PostgresOrderedLog(address))

    @pytest.fixture
    def disturb(self, proxy: Proxy) -> Disturb:
        return proxy.cut


def test_an_answer_that_is_lost_leaves_one_record(postgres: PostgresServer, url: str) -> None:
    with Proxy(postgres.port) as proxy, PostgresOrderedLog(url.replace(str(postgres.port), str(proxy.port))) as log:
        log.append(b"before")
        sent: list[bytes] = []
        lost: list[bytes] = []

        def ask(data: bytes) -> bool:
            sent.extend([data] if b"once" in data else [])
            return False

        def lose(data: bytes) -> bool:
            lost.extend([data] if sent and not lost else [])
            return lost == [data]

        proxy.asked, proxy.answered = ask, lose
        place = log.append(b"once")
        assert lost
        assert [(each.place, each.record) for each in read_all(log)][1:] == [(place, b"once")]


def test_a_server_that_does_not_flush_is_refused_unless_it_is_accepted(url: str) -> None:
    with pytest.raises(NotDurableError, match="set fsync to on"):
        PostgresOrderedLog(url.replace("&durability=engine", ""))


def test_a_role_that_commits_late_is_made_to_wait(postgres: PostgresServer, url: str) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute("alter role postgres set synchronous_commit to off")
        try:
            with PostgresOrderedLog(url) as log:
                connection = log._blocks._new()  # type: ignore[attr-defined]
                assert connection.execute("show synchronous_commit").fetchone() == ("on",)
                connection.close()
        finally:
            admin.execute("alter role postgres reset synchronous_commit")


def test_wrong_credentials_are_refused_and_not_repeated(own_postgres: PostgresServer) -> None:
    own_postgres.ask_for_passwords()
    address = log_at(own_postgres).replace("postgres@", "postgres:Secret1@")
    with pytest.raises(EngineRefusedError) as caught:
        PostgresOrderedLog(address)
    assert "Secret1" not in "".join(traceback.format_exception(caught.value))


def test_a_role_that_may_not_write_is_refused(postgres: PostgresServer, url: str) -> None:
    PostgresOrderedLog(url).close()
    schema = url.partition("schema=")[2].partition("&")[0]
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"create role {schema} login; grant usage on schema {schema} to {schema};"
                      f" grant select on all tables in schema {schema} to {schema}")  # fmt: skip
    with (
        PostgresOrderedLog(url.replace("postgres@", f"{schema}@")) as log,
        pytest.raises(EngineRefusedError, match="permission denied"),
    ):
        log.append(b"one")


def test_a_full_disk_is_told_and_reads_go_on(own_postgres: PostgresServer) -> None:
    with own_postgres.small_disk("4m") as small, PostgresOrderedLog(log_at(own_postgres, durability="engine")) as log:
        with psycopg.connect(own_postgres.url(), autocommit=True) as admin:
            admin.execute(f"alter table act_fast_log.blocks set tablespace {small}")
        log.append(b"one")
        futures = [log.submit(bytes(range(256)) * 4000) for _ in range(10)]
        with pytest.raises(StoreFullError):
            futures[-1].result(60)
        assert log.read()[0].record == b"one"
        with psycopg.connect(own_postgres.url(), autocommit=True) as admin:
            admin.execute("alter table act_fast_log.blocks set tablespace pg_default")


def test_a_server_that_is_not_there_is_away() -> None:
    with pytest.raises(EngineAwayError):
        PostgresOrderedLog(f"postgresql+log://postgres:Secret1@127.0.0.1:{free_port()}/bank")


@pytest.mark.parametrize("address", ["postgresql+log://host", "postgresql+log:///bank", "postgresql+log://host/a/b"])
def test_an_address_that_names_no_database_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        PostgresOrderedLog(address)
