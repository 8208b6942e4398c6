"""The events of archived log files as Parquet, so that other programs can read an archive."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from act_fast._checks import arguments
from act_fast._checks.extras import has, need
from act_fast._checks.sql_text import quoted_name, quoted_text
from act_fast._core import Log
from act_fast._runtime.interruptible import interruptible
from act_fast.errors import StoreError
from act_fast.stores.log.export import COLUMNS

if TYPE_CHECKING:
    import duckdb

__all__ = ["parquet_maker"]

_NEEDS: Final = ("duckdb", "fsspec")
_ROWS: Final = "rows_to_archive"
_SUM: Final = f"select count(*), bit_xor(hash({', '.join(map(quoted_name, COLUMNS))}))"
"""How many rows there are, and a sum over all that they hold: positions tell equal rows apart."""


def parquet_maker(log: Log, wanted: bool | None) -> Callable[[int, int], bytes] | None:
    """What makes the Parquet file of the events between two positions; None if there are to be none.

    Args:
        log: where they are.
        wanted: whether to; None if it can be done here.

    Raises:
        MissingExtraError: it is wanted, and cannot be done here.
    """
    if wanted is None:
        wanted = all(map(has, _NEEDS))
    elif arguments.flag("parquet", wanted):
        need("an archive with Parquet files", *_NEEDS)
    return (lambda first, last: _parquet(log.pin(), first, last)) if wanted else None


def _parquet(log: Log, first: int, last: int) -> bytes:
    """The events from one position to another, as an export has them. It is read back and compared."""
    import duckdb
    from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

    files, path = MemoryFileSystem(), f"/act-fast-{uuid4().hex}.parquet"
    rows = log.columns([(name, name) for name in COLUMNS], filter={"after": first - 1, "before": last + 1})
    made = quoted_text(f"memory:/{path}")
    try:
        with interruptible(), duckdb.connect() as connection:
            connection.register_filesystem(files)
            connection.register(_ROWS, rows)
            connection.execute(f"copy (select * from {_ROWS}) to {made} (format parquet, compression zstd)")
            written = _sum(connection, _ROWS)
            if written[0] != last + 1 - first or _sum(connection, f"read_parquet({made})") != written:
                raise StoreError(
                    f"the Parquet file of the events from position {first} to {last} was read back and is not what was"
                    " written; nothing was archived of them"
                )
        return bytes(files.cat_file(path))
    finally:
        if files.exists(path):
            files.rm_file(path)


def _sum(connection: "duckdb.DuckDBPyConnection", rows: str) -> tuple[int, int | None]:
    ((count, digest),) = connection.execute(f"{_SUM} from {rows}").fetchall()
    return count, digest
