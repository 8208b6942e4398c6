"""DuckDB alone: the events of one class as a table of its own, in its own file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.harness.duel import Body, Contender
from bench.peers.absence import needs
from bench.rows.peers import DUCKDB_LOAD, DUCKDB_TABLE

__all__ = ["DUCKDB", "duckdb_answers", "duckdb_loads"]

DUCKDB = "none: nothing is written"


@needs("duckdb", DUCKDB_TABLE)
def duckdb_answers(path: Path, table: str, parquet: Path, question: str, count: int) -> Sequence[Contender]:
    """Ask `question` of a table that is made of a Parquet file once, and kept open."""
    import duckdb

    with duckdb.connect(path) as database:
        database.execute(f"create table if not exists {table} as select * from read_parquet('{parquet}')")

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with duckdb.connect(path, read_only=True) as database:
            database.sql(question).fetchall()
            yield lambda: database.sql(question).fetchall()

    return [Contender(DUCKDB_TABLE, DUCKDB, count, prepare)]


@needs("duckdb", DUCKDB_LOAD)
def duckdb_loads(parquet: Path, question: str, count: int) -> Sequence[Contender]:
    """Make the table `deposited` of a Parquet file, in a new file, and ask `question` of it."""
    import duckdb

    @contextmanager
    def prepare(folder: Path) -> Iterator[Body]:
        def load() -> None:
            with duckdb.connect(folder / "loaded.duckdb") as database:
                database.execute(f"create table deposited as select * from read_parquet('{parquet}')")
                database.sql(question).fetchall()

        yield load

    return [Contender(DUCKDB_LOAD, DUCKDB, count, prepare)]
