"""Connecting to an app, or to a store by itself, for SQL."""

import os
from datetime import datetime

from act_fast._app.act import Act
from act_fast._app.address import is_store, open_address
from act_fast._app.async_act import AsyncAct
from act_fast._app.local_copy import at_hand
from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast._sql.connection import Connection
from act_fast.errors import StoreError, StoreFormatError, StoreLockedError, ValidationError
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store

__all__ = ["connect"]


def connect(
    source: Act | AsyncAct | Store | str | os.PathLike[str],
    /,
    *,
    at: int | datetime | None = None,
    files: bool = False,
) -> Connection:
    """Connect to an app, or to a store by itself, for SQL.

    An app has a relation for each of its event and state classes, besides `events`, `streams`, `targets` and `skipped`;
    a store by itself has only these four.

        with connect("bank.act") as connection:
            connection.sql("select name, count(*) from events group by name").show()

    Args:
        source: an app, a store, or the path or address of an existing one.
        at: a position or a time; by default, the log as it is now.
        files: let questions read files that this process may read, such as `read_csv('prices.csv')`. Files are only
            ever read. Do not run questions for people who may not see these files.

    Raises:
        ValidationError: the source is none of these.
        StoreError: the store cannot be opened.
    """
    need("SQL", "duckdb", "fsspec")
    from act_fast._sql.library import (
        library_of_store,  # DuckDB takes a while to import, and most programs have no use for it
    )

    files = arguments.flag("files", files)
    if isinstance(source, AsyncAct):
        source = source.sync
    if isinstance(source, Act):
        return Connection(source._library, None, at, files)
    if not isinstance(source, str | os.PathLike):
        if is_store(source):
            return Connection(library_of_store(source, at_hand), None, at, files)
        raise ValidationError(
            f"{type(source).__name__} cannot be queried in SQL; pass an app, a store, a path or an address"
        )
    store = _open(source)
    try:
        return Connection(library_of_store(store, at_hand), store, at, files)
    except BaseException:
        store.close()
        raise


def _open(source: str | os.PathLike[str]) -> Store:
    """The store at a path or an address, which must be there; for reading only where nothing can be written."""
    if isinstance(source, str) and "://" in source:
        return open_address(source, create=False)
    path = arguments.directory(source)
    try:
        return LogStore(path, durability=None, create=False)
    except (StoreFormatError, StoreLockedError):
        raise
    except StoreError:
        return LogStore(path, read_only=True, create=False)
