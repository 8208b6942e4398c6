"""The store in MariaDB keeps the rules of `Store`, and gives the same answers as the log."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from act_fast import LogStore
from act_fast.stores.mysql.store import MySqlStore
from act_fast.testing.conformance import BeginAppend, OpenStore, Program, StoreConformance, differences
from tests.stores.mysql.stores import empty, held_append
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
    def begin_append(self, url: str) -> BeginAppend:
        return lambda stream, count: held_append(url, stream, count)


def test_the_same_program_has_the_same_ends_on_the_log_and_in_mariadb(mariadb: MariaDbServer, seed: int) -> None:
    for turn in range(PROGRAMS):
        url = mariadb.url(prefix=f"program_{seed}_{turn}")
        with LogStore.memory() as log, MySqlStore(url) as store:
            assert differences(Program(seed + turn), log, store) == [], f"seed {seed + turn}"
