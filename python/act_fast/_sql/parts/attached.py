"""The files of what has settled, attached to a database until newer ones take their place."""

import threading
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

import duckdb

from act_fast._checks.sql_text import quoted_name, quoted_text
from act_fast._runtime.forks import tell_in_child
from act_fast._sql.parts.files import name_of
from act_fast._sql.parts.manifest import Checked, LockedManifest
from act_fast.errors import StoreClosedError
from act_fast.stores.capabilities import columns_of, log_mark_of
from act_fast.stores.port import Store
from act_fast.stores.rows import REPLACED

__all__ = ["STILL_THERE", "TABLE", "Attached"]

TABLE = "settled"
"""What the only table of a file is called."""

STILL_THERE: Final = "act-fast: the log is still there"
"""The function in SQL that says so of a log by its number, or ends the question with an error.

DuckDB calls it once, when it plans an answer, and plans for what it says: it costs nothing for each row.
"""


class _Log:
    """The log that files were made from, and whether it can still be asked."""

    def __init__(self, store: Store) -> None:
        self._columns = columns_of(store)
        self._mark = log_mark_of(store)

    @property
    def stands(self) -> bool:
        """Whether it is surely the log that its store has now."""
        return self._mark is not None and not self._mark.replaced

    def check(self) -> bool:
        if self._mark is not None and self._mark.replaced:
            raise StoreClosedError(REPLACED)
        return bool(self._columns.store_id)


class _Reading(NamedTuple):
    """What a connection reads a relation from."""

    held: LockedManifest
    log: _Log


class _View(NamedTuple):
    """A relation that all connections find in place, in a schema of its own.

    Attributes:
        schema: the schema.
        wanted: what it selects.
        checked: what it reads.
        log: the log of that.
        users: the connections that have it.
    """

    schema: str
    wanted: str
    checked: Checked
    log: _Log
    users: WeakSet[duckdb.DuckDBPyConnection]


class Attached:
    """The files that are attached to one database, which all its connections share.

    What was read of a file stays in DuckDB's memory as long as it is attached, so it stays as long as it may be asked
    for again: until another manifest of the same series is, and no connection is left that reads by the old one.
    """

    def __init__(self) -> None:
        self._users: dict[Path, WeakSet[LockedManifest]] = {}
        self._reading: WeakKeyDictionary[duckdb.DuckDBPyConnection, dict[str, _Reading]] = WeakKeyDictionary()
        self._logs: WeakValueDictionary[int, _Log] = WeakValueDictionary()
        self._numbers = count(1)
        self._views: dict[str, _View] = {}
        self._former: list[_View] = []
        self.forked()
        tell_in_child(self)

    def forked(self) -> None:
        self._lock = threading.RLock()

    def tables(
        self, connection: duckdb.DuckDBPyConnection, name: str, held: LockedManifest, store: Store
    ) -> tuple[list[str], str]:
        """The tables of a series as a connection finds them, which keeps them for as long as it reads `name` from them.

        Also a condition that is true as long as the log is there that they were made from, and otherwise an error.

        Raises:
            duckdb.Error: one of them is no file of this DuckDB's.
        """
        log = _Log(store)
        with self._lock:
            self._reading.setdefault(connection, {})[name] = _Reading(held, log)
            number = next(self._numbers)
            self._logs[number] = log
            for path in held.paths:
                if path not in self._users:
                    connection.execute(f"attach {quoted_text(name_of(path))} as {_alias(path)} (read_only)")
                    self._users[path] = WeakSet()
                self._users[path].add(held)
            self._let_go(connection, held)
        return [f"{_alias(path)}.{TABLE}" for path in held.paths], f"{quoted_name(STILL_THERE)}({number})"

    def known(self, name: str) -> Checked | None:
        """What the view of a relation reads, if there is one, and its log is there."""
        view = self._views.get(name)
        return view.checked if view is not None and view.log.stands else None

    def place(
        self, connection: duckdb.DuckDBPyConnection, name: str, wanted: str, held: LockedManifest, store: Store
    ) -> str:
        """Let a new connection find a series under the name of its relation, by a view that need not be made each time.

        Answers the schema of the view.

        Raises:
            duckdb.Error: a file of it is no file of this DuckDB's.
        """
        with self._lock:
            view = self._views.get(name)
            stands = view is not None and all(path in self._users for path in held.paths)
            if view is None or not stands or (view.checked, view.wanted) != (held.checked, wanted):
                view = self._make(connection, name, wanted, held, store)
            view.users.add(connection)
            self._reading.setdefault(connection, {})[name] = _Reading(held, view.log)
            for path in held.paths:
                self._users[path].add(held)
            schemas = [each.schema for each in (*self._views.values(), *self._former) if connection in each.users]
        connection.execute(f"set search_path = {quoted_text(','.join((*schemas, 'main')))}")
        return view.schema

    def _make(
        self, connection: duckdb.DuckDBPyConnection, name: str, wanted: str, held: LockedManifest, store: Store
    ) -> _View:
        self.forget(connection, name)
        tables, still_there = self.tables(connection, name, held, store)
        selects = [f"select {wanted} from {table} where {still_there}" for table in tables]
        schema = f"settled_{next(self._numbers)}"
        connection.execute(f"create schema {schema}")
        connection.execute(f"create view {schema}.{quoted_name(name)} as {' union all '.join(selects)}")
        log = self._reading[connection][name].log
        view = self._views[name] = _View(schema, wanted, held.checked, log, WeakSet())
        return view

    def forget(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Forget the views of a relation: later questions make new ones, and a view goes with its last user."""
        with self._lock:
            former = self._views.pop(name, None)
            self._former += [] if former is None else [former]
            for each in [each for each in self._former if not each.users]:
                connection.execute(f"drop schema {each.schema} cascade")
                self._former.remove(each)

    def still_there(self, number: int) -> bool:
        """What `STILL_THERE` says.

        Raises:
            StoreClosedError: another log has taken its place, or its store was closed.
        """
        log = self._logs.get(number)
        if log is None:
            raise StoreClosedError(REPLACED)
        return log.check()

    def _let_go(self, connection: duckdb.DuckDBPyConnection, held: LockedManifest) -> None:
        """Detach what this series had before, unless it is being read."""
        for path in [path for path in self._users if path.parent == held.folder and path not in held.paths]:
            if not self._users[path]:
                connection.execute(f"detach {_alias(path)}")
                del self._users[path]


def _alias(path: Path) -> str:
    return quoted_name(Path(name_of(path)).stem)
