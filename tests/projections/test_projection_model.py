"""Any history of a SQL projection: its methods fail, its database is locked, damaged, lost or shared with another
store, releases change, the log is restored. The rows are the fold of the log up to the stored watermark, or the
database says that they are those of another log.

The rows are looked at after every step by a connection of their own. A file of SQLite is cheap, so it sees most of the
histories: ACT_FAST_EXAMPLES, or 300; the servers see a twentieth of them.
"""

import json
import os
import shutil
import tempfile
from collections import Counter
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from act_fast import Act, Committed, Lane, LogStore, SqlProjection, batch, on
from tests.support.databases import MariaDatabase, Place, Places, PostgresSchema, SqliteFile, execute
from tests.support.mariadb import MariaDbServer
from tests.support.servers import PostgresServer
from tests.workers.test_model import Box, Put, Taken

EXAMPLES = int(os.environ.get("ACT_FAST_EXAMPLES", "100"))
STREAMS = st.sampled_from(["a", "b", "ab"])
NUMBERS = st.integers(1, 5)


class Rows(SqlProjection, name="rows", backoff=0, retries=1):
    """A row for each event."""

    tables = ("kept",)

    def __init__(self, connection: Any, failing: Counter[int]) -> None:
        super().__init__(connection)
        self.failing = failing

    def setup(self, db: Any) -> None:
        columns = "(position bigint, name varchar(20), number bigint)"
        execute(db, f"create table if not exists {self.table('kept')} {columns}")

    def put(self, events: list[Committed[Any]], db: Any) -> None:
        """Write the rows of events; those that fail do so when theirs is written."""
        for event in events:
            row = (event.position, event.name, event.data.number)
            execute(db, f"insert into {self.table('kept')} values (?, ?, ?)", row)
            if self.failing[event.position]:
                self.failing[event.position] -= 1
                raise ValueError(f"not at {event.position}")


class Old(Rows, name="rows"):
    """The release that did not know of what is taken."""

    @on(Put)
    def one(self, event: Committed[Put], db: Any) -> None:
        self.put([event], db)


class New(Old, name="rows"):
    """The release that does."""

    @on(Taken)
    def taken(self, event: Committed[Taken], db: Any) -> None:
        self.put([event], db)


class Lists(Rows, name="rows"):
    """The release that takes lists."""

    @batch(Put, Taken)
    def all_of_them(self, events: list[Committed[Put | Taken]], db: Any) -> None:
        self.put(events, db)


RELEASES: dict[str, type[Rows]] = {"old": Old, "new": New, "lists": Lists}


class Projected(RuleBasedStateMachine):
    """One database, a store, its programs, and another store that does not belong there."""

    places: ClassVar[Places] = SqliteFile

    @initialize(first=st.sampled_from(sorted(RELEASES)), events_max=st.integers(1, 4))
    def begin(self, first: str, events_max: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="act-fast-"))
        self.place: Place = type(self).places(self.folder)
        self.lanes = [Lane("default", events_max=events_max)]
        self.store = LogStore.memory()
        self.other = LogStore.memory()
        self.log: list[tuple[str, int]] = []
        self.failing: Counter[int] = Counter()
        self.holder: AbstractContextManager[object] | None = None
        self.damaged = False
        self.kept: bool | None = None
        self.projections: list[Rows] = []
        self.app = self.started(self.store, first)

    def started(self, store: LogStore, release: str) -> Act:
        made = RELEASES[release](self.place.connect, self.failing if store is self.store else Counter())
        self.projections.append(made)
        return Act(store, Box, made, lanes=self.lanes)

    @rule(stream=STREAMS, number=NUMBERS, taken=st.booleans())
    def something_happens(self, stream: str, number: int, taken: bool) -> None:
        self.app.do(Box.take if taken else Box.put, stream, number=number)
        self.log.append(("Taken" if taken else "Put", number))

    @rule(back=st.integers(0, 5), times=st.integers(1, 4))
    def a_method_will_fail(self, back: int, times: int) -> None:
        self.failing[max(1, len(self.log) - back)] = times

    @rule()
    def settle(self) -> None:
        self.its_time_has_come(self.app)
        self.app.settle(concurrency=1)

    @rule()
    def drain(self) -> None:
        self.app.correlate()
        self.app.drain(concurrency=1)

    @rule(verb=st.sampled_from(["unblock", "reset", "rebuild"]))
    @precondition(lambda self: self.holder is None)
    def by_hand(self, verb: str) -> None:
        if verb == "rebuild":
            self.failing.clear()
            self.app.rebuild("rows")
            self.damaged = False
        elif verb == "unblock":
            self.app.unblock()
        elif list(self.app.targets()):
            self.app.reset("rows")

    @rule(release=st.sampled_from(sorted(RELEASES)))
    def another_release(self, release: str) -> None:
        self.app.close()
        self.app = self.started(self.store, release)

    @rule(release=st.sampled_from(sorted(RELEASES)))
    def beside_another_release(self, release: str) -> None:
        with self.started(self.store, release) as app:
            self.its_time_has_come(app)
            app.settle(concurrency=1)

    @precondition(lambda self: self.holder is None)
    @rule()
    def lock(self) -> None:
        self.holder = self.place.locked()
        self.holder.__enter__()

    @precondition(lambda self: self.holder is not None)
    @rule()
    def unlock(self) -> None:
        assert self.holder is not None
        self.holder.__exit__(None, None, None)
        self.holder = None

    @precondition(lambda self: self.holder is None)
    @rule(
        how=st.sampled_from(
            [
                "drop table if exists kept",
                "delete from kept",
                "delete from act_fast_watermarks",
                "drop table if exists act_fast_watermarks",
                "drop table if exists act_fast_projections",
                "delete from act_fast_projections",
            ]
        )
    )
    def damage(self, how: str) -> None:
        if how.split()[-1] in self.place.tables():
            self.place.ask(how)
            self.damaged = True

    @precondition(lambda self: self.holder is None)
    @rule()
    def lose(self) -> None:
        for each in self.projections:
            each.close()
        self.place.lose()

    @precondition(lambda self: self.holder is None and self.place.tables())
    @rule()
    def back_up(self) -> None:
        self.place.back_up()
        self.kept = self.damaged

    @precondition(lambda self: self.holder is None and self.kept is not None)
    @rule()
    def put_back(self) -> None:
        for each in self.projections:
            each.close()
        self.place.put_back()
        self.damaged = bool(self.kept)

    @rule(number=NUMBERS)
    def another_store_gets_in_between(self, number: int) -> None:
        with self.started(self.other, "new") as app:
            app.do(Box.put, "a", number=-number)
            self.its_time_has_come(app)
            app.unblock()
            app.settle(concurrency=1)

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        kept = data.draw(st.integers(1, len(self.log)))
        self.log = [(name, number + 10) for name, number in self.log[:kept]]
        source = self.folder / "log.jsonl"
        lines = ({"stream": "a", "name": name, "data": {"number": number}} for name, number in self.log)
        source.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
        self.store.restore(source, replace=True)

    @invariant()
    def rows_are_the_fold_of_the_log(self) -> None:
        if not hasattr(self, "app") or self.damaged:
            return
        if not {"act_fast_projections", "act_fast_watermarks"} <= self.place.tables():
            return
        said_of = self.place.ask("select store, position, events from act_fast_projections")
        positions = self.place.ask("select position from act_fast_watermarks")
        if len(said_of) != 1 or len(positions) != 1:
            return  # nothing is said, or a rebuild was interrupted
        (said,), ((position,),) = said_of, positions
        rows = self.rows()
        if said[0] == self.store._log.store_id:
            assert position == said[1]
            assert rows == self.fold(position, json.loads(said[2]))
        elif said[0] == self.other._log.store_id:
            assert all(number < 0 for _, _, number in rows)

    @invariant()
    def rows_of_two_stores_never_mix(self) -> None:
        if not hasattr(self, "app"):
            return
        if "kept" in self.place.tables():
            assert len(self.place.ask("select distinct number < 0 from kept")) < 2

    def rows(self) -> list[tuple[Any, ...]]:
        return self.place.ask("select position, name, number from kept order by position")

    def fold(self, position: int, names: list[str]) -> list[tuple[int, str, int]]:
        each = enumerate(self.log[:position], 1)
        return [(at, name, number) for at, (name, number) in each if name in names]

    @staticmethod
    def its_time_has_come(app: Act) -> None:
        if list(app.targets()):
            app.defer("rows", until=datetime.now(UTC) - timedelta(seconds=1))

    def teardown(self) -> None:
        if not hasattr(self, "app"):
            return
        try:
            self.everything_is_there_at_last()
        finally:
            if self.holder is not None:
                self.holder.__exit__(None, None, None)
            self.app.close()
            for each in self.projections:
                each.close()
            self.store.close()
            self.other.close()
            self.place.remove()
            shutil.rmtree(self.folder)

    def everything_is_there_at_last(self) -> None:
        if self.holder is not None:
            self.unlock()
        self.failing.clear()
        self.another_release("new")
        self.something_happens("a", 1, True)
        self.app.unblock()
        self.settle()
        if blocked := list(self.app.blocked()):
            assert "rebuild it" in str(blocked[0].error)
            self.app.rebuild("rows")
            self.settle()
        self.damaged = False
        (target,) = self.app.targets()
        assert (target.lag, target.blocked) == (0, False)
        assert self.rows() == self.fold(len(self.log), ["Put", "Taken"])


def run(places: Places, examples: int) -> None:
    class Somewhere(Projected): ...

    Somewhere.places = staticmethod(places)
    checks = [*HealthCheck]
    run_state_machine_as_test(
        Somewhere,
        settings=settings(
            max_examples=max(1, examples), stateful_step_count=25, deadline=None, suppress_health_check=checks
        ),
    )


def test_any_history_in_a_file_of_sqlite() -> None:
    run(SqliteFile, EXAMPLES)


@pytest.mark.parametrize("by", ["psycopg", "sqlalchemy"])
def test_any_history_in_postgresql(by: str, postgres: PostgresServer) -> None:
    run(lambda folder: PostgresSchema(postgres, by), EXAMPLES // 15)


def test_any_history_in_mariadb(mariadb: MariaDbServer) -> None:
    run(lambda folder: MariaDatabase(mariadb), EXAMPLES // 15)
