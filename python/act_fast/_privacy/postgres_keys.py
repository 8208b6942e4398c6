"""Keys in a PostgreSQL database."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast._privacy.key_store import KeyRecord, KeyStore, Rotated, context_of
from act_fast._privacy.master_key import KEY_BYTES, MasterKey
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import KeyStoreError, ValidationError

__all__ = ["PostgresKeyStore"]

_COLUMNS: Final = "id, subject, master, wrapped, created, forgotten, reason"
_PAGE: Final = 500
_LOCK: Final = 0x616374_6B657973
"""The advisory lock that the tables are made under: "actkeys" in ASCII"""

_SCHEMA: Final = """
create table if not exists act_fast_key_store (
    one boolean primary key default true check (one), format int not null, salt bytea not null,
    generation bigint not null default 0
);
create table if not exists act_fast_keys (
    id text primary key, subject text not null, master text not null, wrapped bytea not null,
    created timestamptz not null default now(), forgotten timestamptz, reason text not null default ''
);
"""


class PostgresKeyStore(KeyStore):
    """Keys in two tables of a PostgreSQL database, `act_fast_keys` and `act_fast_key_store`, for several machines.

        app = Act("postgresql://host/shop", Customer, keys=PostgresKeyStore("postgresql://host/keys", master=master))

    Use another database than the store's, with backups of its own. The master key is never in it. A destroyed key is
    overwritten, but PostgreSQL keeps the row as it was until it is vacuumed, and in its write-ahead log: `rotate` makes
    those copies worthless. Other processes notice a destroyed key within `refresh` seconds.

    Args:
        url: the address of the database.
        master: what wraps the keys.
        previous: master keys that some keys may still be wrapped by, until `rotate`.
        refresh: how many seconds a process may use a key before it asks whether one was destroyed; 0 asks each time.

    Raises:
        ValidationError: an argument is wrong.
        KeyStoreError: the database cannot be used.
        MissingExtraError: psycopg or cryptography is not installed.
    """

    def __init__(
        self, url: str, *, master: MasterKey, previous: Sequence[MasterKey] = (), refresh: float = 1.0
    ) -> None:
        need("PostgresKeyStore()", "psycopg", extra="postgres")
        if not arguments.text("url", url).startswith(("postgresql://", "postgres://")):
            raise ValidationError("the address of a key store in PostgreSQL is postgresql://host/database")
        self._psycopg: Any = import_module("psycopg")
        self._url = url
        self._master = master
        self._masters: dict[str, MasterKey] = {each.id: each for each in (*previous, master)}
        self._refresh_s = arguments.milliseconds("refresh", refresh) / 1000
        self._lock = threading.Lock()
        self._connection: Any = None
        self._asked_s = float("-inf")
        self._known = 0
        self._closed = False
        tell_in_child(self)
        with self._asking() as connection, connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
            connection.execute(_SCHEMA)
            connection.execute(
                "insert into act_fast_key_store (format, salt) values (1, %s) on conflict do nothing", [os.urandom(16)]
            )
            found, salt = connection.execute("select format, salt from act_fast_key_store").fetchone()
        if found != 1:
            raise KeyStoreError(f"the key store has format {found}; this version of act-fast knows 1")
        self._salt = bytes(salt)

    def forked(self) -> None:
        """A child connects for itself."""
        self._lock = threading.Lock()
        self._connection = None

    @property
    def salt(self) -> bytes:
        """See `KeyStore`."""
        return self._salt

    def find(self, id: str) -> KeyRecord | None:
        """See `KeyStore`."""
        with self._asking() as connection:
            row = connection.execute(f"select {_COLUMNS} from act_fast_keys where id = %s", [id]).fetchone()
        found = None if row is None else _record(row)
        if found is not None and found.forgotten is not None:
            self._asked_s = float("-inf")  # who has seen a destroyed key must see the generation that it is of
        return found

    def create(self, id: str, subject: str) -> KeyRecord:
        """See `KeyStore`."""
        wrapped = self._master.wrap(os.urandom(KEY_BYTES), context_of(id, subject))
        with self._asking() as connection, connection.transaction():
            connection.execute("set local synchronous_commit = on")
            connection.execute(
                "insert into act_fast_keys (id, subject, master, wrapped) values (%s, %s, %s, %s)"
                " on conflict do nothing",
                [id, subject, self._master.id, wrapped],
            )
        found = self.find(id)
        if found is None:
            raise KeyStoreError(f"the key {id} was removed while it was looked at")
        return found

    def unwrap(self, record: KeyRecord) -> bytes:
        """See `KeyStore`."""
        master = self._masters.get(record.master)
        if master is None:
            raise KeyStoreError(
                f"the key {record.id} is wrapped by master key {record.master!r}, which is not at hand; pass it as"
                " master= or in previous=[...]"
            )
        return master.unwrap(record.wrapped, context_of(record.id, record.subject))

    def destroy(self, id: str, subject: str, reason: str) -> KeyRecord:
        """See `KeyStore`."""
        with self._asking() as connection, connection.transaction():
            connection.execute("set local synchronous_commit = on")
            connection.execute(
                "insert into act_fast_keys (id, subject, master, wrapped, forgotten, reason)"
                " values (%(id)s, %(subject)s, '', '', now(), %(reason)s) on conflict (id) do update"
                " set master = '', wrapped = '', forgotten = now(), reason = %(reason)s"
                " where act_fast_keys.forgotten is null",
                {"id": id, "subject": subject, "reason": reason},
            )
            connection.execute("update act_fast_key_store set generation = generation + 1")
        self._asked_s = float("-inf")
        found = self.find(id)
        assert found is not None, "it was written just now"
        return found

    def generation(self) -> int:
        """See `KeyStore`."""
        now = time.monotonic()
        if now - self._asked_s >= self._refresh_s:
            with self._asking() as connection:
                row = connection.execute("select generation from act_fast_key_store").fetchone()
            self._known, self._asked_s = row[0], now
        return self._known

    def records(self) -> Iterator[KeyRecord]:
        """See `KeyStore`."""
        after = ""
        while True:
            with self._asking() as connection:
                rows = connection.execute(
                    f"select {_COLUMNS} from act_fast_keys where id > %s order by id limit %s", [after, _PAGE]
                ).fetchall()
            if not rows:
                return
            yield from map(_record, rows)
            after = rows[-1][0]

    def rotate(self) -> Rotated:
        """See `KeyStore`: the newest master key is the one that this store was opened with as `master`."""
        rewrapped = kept = destroyed = 0
        for record in self.records():
            if record.forgotten is not None:
                destroyed += 1
            elif record.master == self._master.id:
                kept += 1
            else:
                again = self._master.wrap(self.unwrap(record), context_of(record.id, record.subject))
                with self._asking() as connection:
                    done = connection.execute(
                        "update act_fast_keys set master = %s, wrapped = %s where id = %s and master = %s",
                        [self._master.id, again, record.id, record.master],
                    )
                    rewrapped += done.rowcount
        return Rotated(self._master.id, rewrapped, kept, destroyed)

    def close(self) -> None:
        """Close the connection. Closing again does nothing."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __repr__(self) -> str:
        return "PostgresKeyStore(...)"  # its address may carry a password

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """The connection, for one thread at a time; made again after it was lost."""
        with self._lock:
            if self._closed:
                raise KeyStoreError("the key store is closed; open it again")
            try:
                if self._connection is None or self._connection.broken or self._connection.closed:
                    self._connection = self._psycopg.connect(self._url, autocommit=True)
                yield self._connection
            except self._psycopg.Error as error:
                raise KeyStoreError(f"the key store in PostgreSQL cannot be used: {_said(error)}") from None


def _record(row: Any) -> KeyRecord:
    return KeyRecord(row[0], row[1], row[2], bytes(row[3]), row[4], row[5], row[6])


def _said(error: Any) -> str:
    """The first line of what went wrong. Those that follow may quote rows."""
    return str(error).strip().partition("\n")[0]
