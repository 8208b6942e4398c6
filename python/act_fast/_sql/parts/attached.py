"""The files of what has settled, attached to a database until newer ones take their place."""

import threading
from pathlib import Path
from weakref import WeakKeyDictionary, WeakSet

import duckdb

from act_fast._checks.sql_text import quoted_name, quoted_text
from act_fast._runtime.forks import tell_in_child
from act_fast._sql.parts.files import name_of
from act_fast._sql.parts.manifest import LockedManifest

__all__ = ["TABLE", "Attached"]

TABLE = "settled"
"""What the only table of a file is called."""


class Attached:
    """The files that are attached to one database, which all its connections share.

    What was read of a file stays in DuckDB's memory as long as it is attached, so it stays as long as it may be asked
    for again: until another manifest of the same series is, and no connection is left that reads by the old one.
    """

    def __init__(self) -> None:
        self._users: dict[Path, WeakSet[LockedManifest]] = {}
        self._held: WeakKeyDictionary[duckdb.DuckDBPyConnection, dict[str, LockedManifest]] = WeakKeyDictionary()
        self.forked()
        tell_in_child(self)

    def forked(self) -> None:
        self._lock = threading.Lock()

    def tables(self, connection: duckdb.DuckDBPyConnection, name: str, held: LockedManifest) -> list[str]:
        """The tables of a series as a connection finds them, which keeps them for as long as it reads `name` from them.

        Raises:
            duckdb.Error: one of them is no file of this DuckDB's.
        """
        with self._lock:
            self._held.setdefault(connection, {})[name] = held
            for path in held.paths:
                if path not in self._users:
                    connection.execute(f"attach {quoted_text(name_of(path))} as {_alias(path)} (read_only)")
                    self._users[path] = WeakSet()
                self._users[path].add(held)
            self._let_go(connection, held)
        return [f"{_alias(path)}.{TABLE}" for path in held.paths]

    def _let_go(self, connection: duckdb.DuckDBPyConnection, held: LockedManifest) -> None:
        """Detach what this series had before, where nobody reads it."""
        for path in [path for path in self._users if path.parent == held.folder and path not in held.paths]:
            if not self._users[path]:
                connection.execute(f"detach {_alias(path)}")
                del self._users[path]


def _alias(path: Path) -> str:
    return quoted_name(Path(name_of(path)).stem)
