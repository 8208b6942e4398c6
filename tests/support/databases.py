"""Databases that projections write to, each reached by a client of its own; every place is an empty one."""

import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.mariadb import MariaDbServer
from tests.support.servers import PostgresServer

_numbers = count(1)


def execute(db: Any, sql: str, params: Sequence[Any] = ()) -> Any:
    """Run a statement, in which `?` stands for a parameter, on what a projection's methods are given."""
    client = type(db).__module__.split(".")[0]
    if client == "sqlalchemy":
        import sqlalchemy

        for number in range(len(params)):
            sql = sql.replace("?", f":p{number}", 1)
        return db.execute(sqlalchemy.text(sql), {f"p{number}": value for number, value in enumerate(params)})
    if client == "psycopg":
        return db.execute(sql.replace("?", "%s"), params)
    return db.execute(sql, params)


def fetch(db: Any, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Ask for rows the same way."""
    return [tuple(row) for row in execute(db, sql, params).fetchall()]


class Place(ABC):
    """A database, or a part of one, that no other test has.

    Attributes:
        port: where projections connect, if that is not where the server listens.
    """

    port: int | None = None

    @abstractmethod
    def connect(self) -> Any:
        """What a function is to give that a projection connects by."""

    @abstractmethod
    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement by a connection of its own; its rows, if it has any."""

    @abstractmethod
    def tables(self) -> set[str]:
        """The tables that there are."""

    @abstractmethod
    def locked(self) -> AbstractContextManager[object]:
        """Let nobody write inside the block. Readers may read."""

    @abstractmethod
    def lose(self) -> None:
        """Drop everything."""

    @abstractmethod
    def back_up(self) -> None:
        """Copy all tables to where `put_back` finds them."""

    @abstractmethod
    def put_back(self) -> None:
        """Have the tables as they were then."""

    @abstractmethod
    def remove(self) -> None:
        """Leave nothing behind."""


class SqliteFile(Place):
    """A file of SQLite."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.sqlite"
        self._backup = folder / "backup.sqlite"

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, check_same_thread=False, timeout=0)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection, connection:
            return connection.execute(sql).fetchall()

    def tables(self) -> set[str]:
        return {name for (name,) in self.ask("select name from sqlite_master")}

    @contextmanager
    def locked(self) -> Any:
        with closing(self.connect()) as holder:
            holder.execute("begin immediate")
            yield
            holder.rollback()

    def lose(self) -> None:
        self.path.unlink(missing_ok=True)

    def remove(self) -> None:
        self.lose()

    def back_up(self) -> None:
        shutil.copyfile(self.path, self._backup)

    def put_back(self) -> None:
        shutil.copyfile(self._backup, self.path)


class PostgresSchema(Place):
    """A schema of PostgreSQL, reached by psycopg, or by SQLAlchemy and psycopg."""

    def __init__(self, server: PostgresServer, by: str = "psycopg", *, database: str = "postgres") -> None:
        self.server = server
        self.schema = f"place_{next(_numbers)}"
        self.options = f"-csearch_path={self.schema} -clock_timeout=1"
        self.url = server.url(database)
        self.by = by
        self.ask(f"create schema {self.schema}")

    def connect(self) -> Any:
        url = self.url.replace(f":{self.server.port}/", f":{self.port or self.server.port}/")
        if self.by == "psycopg":
            import psycopg

            return psycopg.connect(url, options=self.options)
        address = url.replace("postgresql:", "postgresql+psycopg:")
        import sqlalchemy

        return sqlalchemy.create_engine(address, connect_args={"options": self.options})

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url, options=f"-csearch_path={self.schema}", autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def tables(self) -> set[str]:
        asked = f"select tablename from pg_tables where schemaname = '{self.schema}'"
        return {name for (name,) in self.ask(asked)}

    @contextmanager
    def locked(self) -> Any:
        import psycopg

        with psycopg.connect(self.url, options=f"-csearch_path={self.schema}") as holder:
            if "act_fast_watermarks" in self.tables():
                holder.execute("lock table act_fast_watermarks in exclusive mode")
            yield
            holder.rollback()

    def lose(self) -> None:
        self.ask(f"drop schema {self.schema} cascade")
        self.ask(f"create schema {self.schema}")

    def back_up(self) -> None:
        self._copy(self.schema, f"{self.schema}_backup")

    def put_back(self) -> None:
        self._copy(f"{self.schema}_backup", self.schema)

    def _copy(self, source: str, target: str) -> None:
        self.ask(f"drop schema if exists {target} cascade")
        self.ask(f"create schema {target}")
        for (name,) in self.ask(f"select tablename from pg_tables where schemaname = '{source}'"):
            self.ask(f'create table {target}."{name}" (like {source}."{name}" including all)')
            self.ask(f'insert into {target}."{name}" select * from {source}."{name}"')

    def remove(self) -> None:
        for each in (self.schema, f"{self.schema}_backup"):
            self.ask(f"drop schema if exists {each} cascade")


class MariaDatabase(Place):
    """A database of MariaDB, reached by SQLAlchemy and PyMySQL.

    There is no TLS, since PyMySQL reads all certificates of the system for each connection, which takes longest of all.
    """

    def __init__(self, server: MariaDbServer) -> None:
        self.server = server
        self.name = f"place_{next(_numbers)}"
        server.ask(f"create database {self.name}")

    def connect(self) -> Any:
        import sqlalchemy

        waits = "set session innodb_lock_wait_timeout = 0, lock_wait_timeout = 1"
        url = self.server.url(self.name).replace("mysql:", "mysql+pymysql:")
        url = url.replace(f":{self.server.port}/", f":{self.port or self.server.port}/")
        return sqlalchemy.create_engine(url, connect_args={"init_command": waits, "ssl_disabled": True})

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            connection.commit()
            return [*cursor.fetchall()]

    def tables(self) -> set[str]:
        return {str(name) for (name,) in self.ask("show tables")}

    @contextmanager
    def locked(self) -> Any:
        with self._connection() as holder:
            if "act_fast_watermarks" in self.tables():
                holder.cursor().execute("select * from act_fast_watermarks for update")
            yield

    @contextmanager
    def reading(self, table: str) -> Any:
        """A transaction that has read a table, and keeps it from being changed."""
        with self._connection() as reader:
            reader.cursor().execute(f"select * from {table}")
            yield reader

    def _connection(self) -> Any:
        import pymysql

        return pymysql.connect(
            host="127.0.0.1", port=self.server.port, user="root", database=self.name, ssl_disabled=True
        )

    def lose(self) -> None:
        self.server.ask(f"drop database {self.name}")
        self.server.ask(f"create database {self.name}")

    def back_up(self) -> None:
        self._copy(self.name, f"{self.name}_backup")

    def put_back(self) -> None:
        self._copy(f"{self.name}_backup", self.name)

    def _copy(self, source: str, target: str) -> None:
        self.server.ask(f"drop database if exists {target}")
        self.server.ask(f"create database {target}")
        for (name,) in self.server.ask(f"show tables from {source}"):
            self.server.ask(f"create table {target}.`{name}` like {source}.`{name}`")
            self.server.ask(f"insert into {target}.`{name}` select * from {source}.`{name}`")

    def remove(self) -> None:
        for each in (self.name, f"{self.name}_backup"):
            self.server.ask(f"drop database if exists {each}")


Places = Callable[[Path], Place]
"""Makes an empty place, which may use a folder."""
