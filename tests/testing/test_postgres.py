"""The store in PostgreSQL keeps the rules of `Store`, and gives the same answers as the log."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import ClassVar

import pytest

from act_fast import LogStore
from act_fast.stores.postgres.store import PostgresStore
from act_fast.testing.conformance import (
    BeginAppend,
    Cases,
    Living,
    OpenStore,
    Program,
    Reactions,
    StoreConformance,
    Transactions,
    Waiting,
    differences,
    reaction_differences,
)
from tests.stores.postgres.stores import empty, held_append, take_positions_from_a_sequence
from tests.support.servers import PostgresServer

PROGRAMS = int(os.environ.get("ACT_FAST_PROGRAMS", "10"))


class _OnPostgres(Cases):
    """One store for all cases, emptied for each."""

    options: ClassVar[dict[str, str]] = {}

    @pytest.fixture
    def url(self, postgres: PostgresServer) -> str:
        url = postgres.url(schema=type(self).__name__, **self.options)
        PostgresStore(url).close()
        empty(url)
        return url

    @pytest.fixture
    def open_store(self, url: str) -> Iterator[OpenStore]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(PostgresStore(url))

    @pytest.fixture
    def new_store(self, url: str) -> Callable[[], OpenStore]:
        def make() -> OpenStore:
            empty(url)
            return lambda: PostgresStore(url)

        return make

    @pytest.fixture
    def begin_append(self, url: str) -> BeginAppend:
        return lambda stream, count: held_append(url, stream, count)


class TestPostgres(_OnPostgres, StoreConformance):
    pass


class TestPostgresWithoutNotifications(_OnPostgres, Waiting, Living, Transactions, Reactions):
    """As behind a pooler that gives each transaction another session."""

    options: ClassVar[dict[str, str]] = {"listen": "false"}


def test_the_same_program_has_the_same_ends_on_the_log_and_in_postgres(postgres: PostgresServer, seed: int) -> None:
    for turn in range(PROGRAMS):
        url = postgres.url(schema=f"program_{seed}_{turn}")
        with LogStore.memory() as log, PostgresStore(url) as store:
            assert differences(Program(seed + turn, tags=turn % 2 == 0), log, store) == [], f"seed {seed + turn}"


def test_the_same_reactions_have_the_same_ends_on_the_log_and_in_postgres(postgres: PostgresServer, seed: int) -> None:
    for turn in range(PROGRAMS):
        url = postgres.url(schema=f"reacting_{seed}_{turn}")
        with LogStore.memory() as log, PostgresStore(url) as store:
            assert reaction_differences(seed + turn, log, store) == [], f"seed {seed + turn}"


def test_a_difference_of_reactions_is_found(seed: int) -> None:
    with LogStore.memory() as log, LogStore.memory() as other:
        other.append("s1", [("Counted", b"{}")])
        assert reaction_differences(seed, log, other)


def test_a_difference_is_found(seed: int) -> None:
    class Forgetful(LogStore):
        def version(self, stream: str) -> int:
            return min(super().version(stream), 3)

    found = []
    for turn in range(20):
        with LogStore.memory() as log, Forgetful.memory() as other:
            found += differences(Program(seed + turn), log, other)
    assert found


class TestTransactionsFindASkip:
    """The cases are worth something only if they find what they are there for."""

    @pytest.fixture
    def cases(self) -> Transactions:
        return Transactions()

    @pytest.fixture
    def open_store(self, postgres_url: str) -> Iterator[OpenStore]:
        PostgresStore(postgres_url).close()
        take_positions_from_a_sequence(postgres_url)
        with ExitStack() as opened:
            yield lambda: opened.enter_context(PostgresStore(postgres_url))

    @pytest.mark.parametrize("committed", [True, False])
    def test_positions_from_a_sequence_are_found_out(
        self, cases: Transactions, open_store: OpenStore, postgres_url: str, committed: bool
    ) -> None:
        def begin(stream: str, count: int) -> object:
            return held_append(postgres_url, stream, count)

        with pytest.raises(AssertionError, match="skipped"):
            cases.test_no_follower_passes_an_append_that_is_yet_to_be_committed(begin, open_store, committed)  # type: ignore[arg-type]
