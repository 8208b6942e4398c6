"""The store in MariaDB keeps the rules of `Store`, and gives the same answers as the log."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from act_fast import LogStore
from act_fast.stores.mysql.store import MySqlStore
from act_fast.testing.conformance import BeginAppend, OpenStore, Program, StoreConformance, Transactions, differences
from tests.stores.mysql.stores import empty, held_append, take_positions_from_a_sequence
from tests.support.mariadb import MariaDbServer

PROGRAMS = int(os.environ.get("ACT_FAST_PROGRAMS", "10"))


class TestMariaDb(StoreConformance):
    """One store for all cases, emptied for each."""

    @pytest.fixture
    def url(self, mariadb: MariaDbServer) -> str:
        url = mariadb.url(prefix="conformance")
        MySqlStore(url).close()
        empty(url)
        return url

    @pytest.fixture
    def open_store(self, url: str) -> Iterator[OpenStore]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(MySqlStore(url))

    @pytest.fixture
    def new_store(self, url: str) -> Callable[[], OpenStore]:
        def make() -> OpenStore:
            empty(url)
            return lambda: MySqlStore(url)

        return make

    @pytest.fixture
    def begin_append(self, url: str) -> BeginAppend:
        return lambda stream, count: held_append(url, stream, count)


def test_the_same_program_has_the_same_ends_on_the_log_and_in_mariadb(mariadb: MariaDbServer, seed: int) -> None:
    for turn in range(PROGRAMS):
        url = mariadb.url(prefix=f"program_{seed}_{turn}")
        with LogStore.memory() as log, MySqlStore(url) as store:
            assert differences(Program(seed + turn, tags=turn % 2 == 0), log, store) == [], f"seed {seed + turn}"


class TestTransactionsFindASkip:
    """The cases are worth something only if they find what they are there for."""

    @pytest.fixture
    def cases(self) -> Transactions:
        return Transactions()

    @pytest.fixture
    def open_store(self, mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenStore]:
        MySqlStore(mariadb_url).close()
        take_positions_from_a_sequence(mariadb_url, monkeypatch)
        with ExitStack() as opened:
            yield lambda: opened.enter_context(MySqlStore(mariadb_url))

    @pytest.mark.parametrize("committed", [True, False])
    def test_positions_from_a_sequence_are_found_out(
        self, cases: Transactions, open_store: OpenStore, mariadb_url: str, committed: bool
    ) -> None:
        def begin(stream: str, count: int) -> object:
            return held_append(mariadb_url, stream, count, broken=True)

        with pytest.raises(AssertionError, match="skipped"):
            cases.test_no_follower_passes_an_append_that_is_yet_to_be_committed(begin, open_store, committed)  # type: ignore[arg-type]
