"""DuckDB as we use it: a database in memory that holds nothing, and the way in for what it is to read.

What questions run on has no way out: DuckDB itself refuses files, extensions and other settings, however a statement
is written and wherever in it something is hidden. Only the files of what has settled can be read, through
`PartFiles`, which cannot write. What has to write a file is a statement of our own, on a database of its own.

DuckDB offers a relation the columns and the conditions of a query only through names that are private. They are used
here and nowhere else; without them, relations are read whole, and DuckDB leaves out what was not asked for.
"""

import ctypes
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final
from weakref import WeakKeyDictionary

import duckdb

from act_fast._runtime.forks import tell_in_child
from act_fast._sql.parts.attached import STILL_THERE, Attached
from act_fast._sql.parts.files import PREFIX, PartFiles
from act_fast._sql.scan import Condition, Scan
from act_fast._sql.spill import new_spill_folder

nodes: Any = None
_Base: Any = object
with suppress(ImportError):  # another version of DuckDB
    nodes = import_module("duckdb._sources.nodes")
    _Base = import_module("duckdb._sources.arrow").ArrowScanSource

__all__ = ["PUSHES_DOWN", "attached_to", "close", "new_database", "new_session", "new_writer", "register"]

PUSHES_DOWN: Final = nodes is not None and hasattr(duckdb.DuckDBPyConnection, "_register_arrow_source")
"""Whether this DuckDB tells relations what is asked of them."""

_CONFIG: Final = {
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_extension_repositories": "forbidden",
    "allow_persistent_secrets": "false",
}


class _Databases:
    """The databases of this process: which are there, and what the questions of each owner share.

    A database that a child inherits lacks its threads: the child can neither use it nor let go of it, which would
    wait for them, or crash. It is left where it is, for as long as the child lives. It ends with its last connection,
    and whoever has one may close it: so what is handed out is always a second one, and the first stays here.
    """

    def __init__(self) -> None:
        self._first: WeakKeyDictionary[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection] = WeakKeyDictionary()
        self.forked()
        tell_in_child(self)

    def forked(self) -> None:
        for inherited in tuple(self._first.items()):
            # One reference more than there are: not even the end of the interpreter takes it away.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
        self._first = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._shared: WeakKeyDictionary[object, duckdb.DuckDBPyConnection] = WeakKeyDictionary()
        self._attached: WeakKeyDictionary[duckdb.DuckDBPyConnection, Attached] = WeakKeyDictionary()

    def open(self) -> duckdb.DuckDBPyConnection:
        """A new one, which nothing has been locked in yet."""
        first = duckdb.connect(":memory:", config={**_CONFIG, "temp_directory": new_spill_folder()})
        first.execute("set global timezone = 'UTC'")
        connection = first.cursor()
        self._first[connection] = first
        self._attached[connection] = Attached()
        return connection

    def close(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Close one that `open` has given, and so the database."""
        connection.close()
        first = self._first.pop(connection, None)
        if first is not None:
            first.close()

    def session(self, owner: object) -> duckdb.DuckDBPyConnection:
        """A connection to the database that an owner has, with a temporary schema of its own."""
        with self._lock:
            shared = self._shared.get(owner)
            if shared is None:
                shared = self._shared[owner] = new_database()
            connection = shared.cursor()
            self._attached[connection] = self._attached[shared]
            return connection

    def attached(self, connection: duckdb.DuckDBPyConnection) -> Attached:
        """What is attached to a connection's database."""
        return self._attached[connection]


_databases: Final = _Databases()


def new_database(*, files: bool = False, lossless: bool = False) -> duckdb.DuckDBPyConnection:
    """A locked database of its own, in memory, in UTC, blind to the variables of whoever calls.

    Args:
        files: whether it may reach files. Then it must only be given questions that `check_question` has let through
            with `files=True`, since DuckDB knows no access that is for reading only.
        lossless: whether answers keep DuckDB's own types as Arrow, for another database to read.
    """
    connection = _databases.open()
    if lossless:
        connection.execute("set global arrow_lossless_conversion = true")
    connection.register_filesystem(PartFiles())
    try:
        connection.create_function(STILL_THERE, attached_to(connection).still_there, ["BIGINT"], "BOOLEAN")
    except TypeError as error:  # the arguments are right: this is what DuckDB makes of Ctrl-C while it looks at them
        raise KeyboardInterrupt from error
    if not files:
        connection.execute(f"set allowed_directories = ['{PREFIX}']")
        connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def new_writer() -> duckdb.DuckDBPyConnection:
    """A database that may write files: for statements of our own, and for nothing that was handed in."""
    return _databases.open()


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """Close a database of its own."""
    _databases.close(connection)


def new_session(owner: object) -> duckdb.DuckDBPyConnection:
    """A connection to the database that all questions of an owner share, with a temporary schema of its own.

    No other owner's can get at what is attached to it. It ends with its owner and the last of the connections.
    """
    return _databases.session(owner)


def attached_to(connection: duckdb.DuckDBPyConnection) -> Attached:
    """The files that are attached to a connection's database."""
    return _databases.attached(connection)


def register(connection: duckdb.DuckDBPyConnection, name: str, scan: Scan) -> None:
    """Let a connection read a relation under a name, for as long as the connection lives."""
    if PUSHES_DOWN:
        connection._register_arrow_source(name, _Source(scan))
    else:
        connection.register(name, _Whole(scan))


class _Whole:
    """A relation for a DuckDB that does not say what it wants: all of it, each time it is asked for."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan

    def __arrow_c_schema__(self) -> object:
        return self._scan.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._scan.read(None, ())[0]


class _Source(_Base):  # type: ignore[misc]
    """A relation for a DuckDB that says which columns it wants, and under which conditions."""

    schema_is_stable = True

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self.obj = scan

    def __arrow_c_schema__(self) -> object:
        return self._scan.__arrow_c_schema__()

    def accepts(self, predicate: Any) -> bool:
        found = _conditions(predicate)
        return found is not None and all(map(self._scan.accepts, found))

    def stream(self, columns: Sequence[int] | None, filters: Sequence[Any]) -> tuple[object, bool]:
        wanted = None if columns is None else [self._scan.columns[at] for at in columns]
        conditions = [each for predicate in filters for each in _conditions(predicate) or ()]
        return self._scan.read(wanted, conditions)


def _conditions(predicate: Any) -> list[Condition] | None:
    """A predicate as conditions that must all hold; None when it is none of the kind."""
    match predicate:
        case nodes.Binary(op="AND"):
            left, right = _conditions(predicate.left), _conditions(predicate.right)
            return None if left is None or right is None else left + right
        case nodes.Binary(
            op="=" | "<" | "<=" | ">" | ">=" as op, left=nodes.Col(parts=(name,)), right=nodes.Lit() as one
        ):
            return [Condition(name, op, one.value)]
        case nodes.In(operand=nodes.Col(parts=(name,)), values=values):
            constants = [each.value for each in values if isinstance(each, nodes.Lit)]
            return [Condition(name, "in", constants)] if len(constants) == len(values) else None
    return None
