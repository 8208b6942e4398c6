"""What SQL is like in a database, as far as projections need it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from act_fast._checks.sql_text import quoted_name

__all__ = ["Dialect", "Statements", "insert", "moment"]


def moment(value: datetime) -> datetime:
    """A time as columns without a time zone have it: in UTC."""
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


class Statements(Protocol):
    """What runs statements in a transaction."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run a statement, in which `?` stands for a parameter."""
        ...

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask for rows, as plain tuples."""
        ...


class Dialect:
    """What SQL is like in a database.

    Attributes:
        begin: what begins a transaction.
        text: the type of a column with texts of any length.
        number: that of fractions.
        time: that of times.
        json: that of all that has no type of its own.
        name_bytes_max: how long the name of a table may be; longer ones are cut off, or refused.
        commits_tables: whether a statement that makes, drops or renames a table ends the transaction.
    """

    begin: ClassVar[str] = "begin"
    text: ClassVar[str] = "text"
    number: ClassVar[str] = "double"
    time: ClassVar[str] = "timestamp"
    json: ClassVar[str] = "json"
    name_bytes_max: ClassVar[int | None] = None
    commits_tables: ClassVar[bool] = False

    @property
    def key(self) -> str:
        """The type of a column with names, each taken for what it is, that may be a primary key."""
        return "text"

    def quoted(self, name: str) -> str:
        """The name of a table or a column."""
        return quoted_name(name)

    def cell_of_time(self, value: datetime) -> Any:
        """What is written of a time: the same in UTC."""
        return moment(value)

    def text_of(self, column: str) -> str:
        """A column of text, which comes as bytes or text, untouched by what its user does to texts."""
        return column

    def upsert(self, table: str, key: str, columns: Sequence[str]) -> str:
        """Write a row: the key, and the other columns; all these names are in quotes already."""
        changes = ", ".join(f"{each} = excluded.{each}" for each in columns)
        return f"{insert(table, [key, *columns])} on conflict ({key}) do update set {changes}"

    def there(self, db: Statements, tables: Sequence[str]) -> set[str]:
        """Which of some tables there are; at least one is asked for."""
        raise NotImplementedError

    def upgrade(self, db: Statements) -> None:
        """Bring the tables of watermarks up to date that an earlier release has made."""

    def hold_first(self, db: Statements, keys: Sequence[str]) -> None:
        """Wait until no other transaction holds any of some keys, before one begins that is to hold them."""

    def hold(self, db: Statements, keys: Sequence[str]) -> None:
        """Wait until no other transaction holds any of some keys, and hold them to the end of this one."""

    def let_go(self, db: Statements, keys: Sequence[str]) -> None:
        """Let others have some keys, behind the end of a transaction that does not do so by itself."""

    def rights(self, db: Statements, tables: Sequence[str]) -> list[str]:
        """Statements that give others the rights again that they have on tables, and lose when those are dropped."""
        return []

    def drop(self, db: Statements, tables: Sequence[str]) -> None:
        """Drop tables, if they are there."""
        for each in tables:
            db.run(f"drop table if exists {self.quoted(each)}")

    def drop_together(self, db: Statements, tables: Sequence[str]) -> None:
        """Drop tables by one statement, since some may refer to others."""
        if tables:
            db.run(f"drop table if exists {', '.join(map(self.quoted, tables))}")

    def replace(self, db: Statements, tables: Mapping[str, str]) -> None:
        """Put tables, the keys, in the place of others, the values, which are dropped."""
        rights = self.rights(db, [*tables.values()])
        self.drop(db, [*tables.values()])
        for fresh, live in tables.items():
            db.run(f"alter table {self.quoted(fresh)} rename to {self.quoted(live)}")
        for each in rights:
            db.run(each)

    def clear(self, db: Statements, tables: Sequence[str]) -> None:
        """Drop what is left of a replacement of tables that was interrupted."""


def insert(table: str, columns: Sequence[str]) -> str:
    """Write a row."""
    return f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"
