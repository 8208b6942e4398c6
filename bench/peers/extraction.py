"""The same events where only their JSON is known: a table of sqlite3's, and JSON lines that DuckDB reads."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from act_fast import Committed
from bench.harness.duel import Body, Contender
from bench.peers.absence import needs

__all__ = ["duckdb_json_lines", "sqlite_json"]

LINES = "DuckDB, JSON lines in a file"
NOTHING = "none: nothing is written"
Events = Callable[[], Iterable[Committed[bytes]]]


def sqlite_json(path: Path, events: Events, count: int) -> Contender:
    """A row for each event, its payload as text."""
    path.mkdir()
    file = path / "events.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("create table events(position integer primary key, stream text, name text, data text)")
        rows = ((each.position, each.stream, each.name, each.data.decode()) for each in events())
        connection.executemany("insert into events values (?, ?, ?, ?)", rows)
    question = "select sum(json_extract(data, '$.amount')) from events where name = 'Deposited'"

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with closing(sqlite3.connect(file)) as connection:
            yield lambda: connection.execute(question).fetchall()

    return Contender("sqlite3, json_extract", NOTHING, count, prepare)


@needs("duckdb", LINES)
def duckdb_json_lines(path: Path, events: Events, count: int) -> Sequence[Contender]:
    """A line for each event."""
    import duckdb

    path.mkdir()
    file = path / "events.jsonl"
    with open(file, "w") as out:
        for each in events():
            line = {"position": each.position, "stream": each.stream, "name": each.name, "data": json.loads(each.data)}
            out.write(json.dumps(line) + "\n")
    read = f"read_json('{file}', format = 'newline_delimited', columns = {{name: 'VARCHAR', data: 'JSON'}})"
    question = f"select sum((data->>'amount')::bigint) from {read} where name = 'Deposited'"

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        with duckdb.connect() as connection:
            yield lambda: connection.sql(question).fetchall()

    return [Contender(LINES, NOTHING, count, prepare)]
