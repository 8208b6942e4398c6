"""A connection to a store or an app for many questions about one moment of it."""

import os
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from act_fast.errors import StoreClosedError, ValidationError
from act_fast.stores.port import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from act_fast._sql.library import Library

__all__ = ["Connection"]


class Connection:
    """A store, or an app, as SQL sees it at one position. Created by `connect`; use it from one thread at a time.

    All questions are about the same position until you call `refresh`, so their answers agree, and can be joined.
    """

    def __init__(self, library: "Library", owned: Store | None, at: int | datetime | None, files: bool = False) -> None:
        from act_fast._sql.duckdb_database import new_database

        self._process = os.getpid()
        self._library = library
        self._owned = owned
        self._session = library.session(new_database(files=files), at, files=files)
        library.place(self._session)

    @property
    def position(self) -> int:
        """The position that everything is as of."""
        return self._session.position

    @property
    def relations(self) -> list[str]:
        """The names of the relations you can query."""
        return self._library.names

    @property
    def duckdb(self) -> "DuckDBPyConnection":
        """DuckDB's own connection, with every relation in place: for notebooks, and for tables of your own.

        It is locked: no statement can access a file, load an extension or change a setting. Errors on it are DuckDB's
        own. A forked child may close the connection that it inherited, but must not query it.

        Raises:
            ValidationError: the connection was opened with `files=True`; only `sql` makes sure that files are read and
                never written.
            StoreClosedError: it was created before this process was forked.
        """
        self._check_process()
        if self._session.files:
            raise ValidationError(
                "with files=True DuckDB's own connection is not available, as it could write files; ask with sql(),"
                " or use connect(...) without files=True"
            )
        return self._session.connection

    def sql(self, query: str, /, **params: Any) -> "DuckDBPyRelation":
        """Ask a question; see `Act.sql`. The answer is computed as you read it, while the connection is open.

        Args:
            query: one question.
            params: values for its `$name` parameters.

        Raises:
            ValidationError: the statement is not a question, or cannot be answered.
            duckdb.Error: raised by the relation, for errors that only show while its rows are read.
            StoreClosedError: the connection was created before this process was forked.
        """
        self._check_process()
        return self._library.ask(self._session, query, params)

    def refresh(self, at: int | datetime | None = None) -> int:
        """Advance to the log as it is now, or move to a position or a time; returns the position."""
        self._check_process()
        self._session = self._library.session(self._session.connection, at, files=self._session.files)
        self._library.place(self._session)
        return self.position

    def close(self) -> None:
        """Release everything, including the store if `connect` opened it. Closing again does nothing."""
        if not self._inherited:
            from act_fast._sql.duckdb_database import close

            close(self._session.connection)
        if self._owned is not None:
            self._owned.close()

    @property
    def _inherited(self) -> bool:
        """Whether this is a forked child, which has the database without its threads."""
        return os.getpid() != self._process

    def _check_process(self) -> None:
        if self._inherited:
            raise StoreClosedError(
                "this connection was made before this process was forked; open the store and connect again in the child"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Connection({self._library.store!r}, position={self.position})"
