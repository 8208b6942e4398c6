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
    """A store, or an app, as SQL sees it at one position. Made by `connect`; not for several threads at once.

    All questions are about the same position until `refresh` is called, so their answers agree, and can be joined.
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
        """The position that everything is told as of."""
        return self._session.position

    @property
    def relations(self) -> list[str]:
        """The names of the relations that there are."""
        return self._library.names

    @property
    def duckdb(self) -> "DuckDBPyConnection":
        """DuckDB's own connection, with every relation in place: for notebooks, and for tables of one's own.

        It is locked: no statement reaches a file, loads an extension or changes a setting. Its errors are DuckDB's. A
        forked child may close what it has inherited of it, and must not ask on it.

        Raises:
            ValidationError: the connection was opened with `files=True`, where only `sql` makes sure that files are
                read and never written.
            StoreClosedError: it was made by the process that this one was forked from.
        """
        self._check_process()
        if self._session.files:
            raise ValidationError(
                "with files=True there is no way to DuckDB's own connection, which could write files; ask with sql(),"
                " or use connect(...) without files=True"
            )
        return self._session.connection

    def sql(self, query: str, /, **params: Any) -> "DuckDBPyRelation":
        """Ask a question; see `Act.sql`. The answer is read as it is asked for, while the connection is open.

        Args:
            query: one question.
            params: what its `$name`s stand for.

        Raises:
            ValidationError: it is no question, or cannot be answered.
            duckdb.Error: by the relation, for what only shows while its rows are read.
            StoreClosedError: the connection was made by the process that this one was forked from.
        """
        self._check_process()
        return self._library.ask(self._session, query, params)

    def refresh(self, at: int | datetime | None = None) -> int:
        """Go on to the log as it is now, or was at a position or a time; the position."""
        self._check_process()
        self._session = self._library.session(self._session.connection, at, files=self._session.files)
        self._library.place(self._session)
        return self.position

    def close(self) -> None:
        """Let go of everything, also of the store if `connect` has opened it. Closing again does nothing."""
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
                "this connection was made by the process that this one was forked from; open the store and connect"
                " again in the child"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Connection({self._library.store!r}, position={self.position})"
