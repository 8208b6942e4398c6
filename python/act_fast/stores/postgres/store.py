"""The store in a PostgreSQL database."""

import contextlib
import uuid
from datetime import timedelta

from act_fast._checks import arguments
from act_fast.stores.capabilities import Transfer
from act_fast.stores.database.formats import Upgraded
from act_fast.stores.database.news import News
from act_fast.stores.database.store import PAYLOAD_BYTES_MAX, DatabaseKeys, DatabaseRows, DatabaseStore, payload_max
from act_fast.stores.database.writer import Writer
from act_fast.stores.once import Keeping
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.appending import FunctionAppending
from act_fast.stores.postgres.bounds import FunctionBounds
from act_fast.stores.postgres.connections import Connections, asking
from act_fast.stores.postgres.listener import NotificationListener
from act_fast.stores.postgres.reactions import open_reactions
from act_fast.stores.postgres.schema import prepare, upgrade
from act_fast.stores.postgres.session import Session
from act_fast.stores.postgres.transfer import PostgresTransfer
from act_fast.stores.reaction_port import ReactionPort
from act_fast.stores.values import StoreStats

__all__ = ["PostgresStore"]


class PostgresStore(DatabaseStore[Session]):
    """A store in a PostgreSQL database (14 or newer): events are rows, shared by all programs with the address.

    Args:
        url: `postgresql://user:password@host:5432/database`, with any libpq options after a `?`, and two options of
            act-fast's own: `schema=` names the schema of the store's tables (`act_fast`), so that a database can hold
            several stores; `listen=false` avoids notifications, for a pooler that gives each transaction another
            session.
        payload_max_bytes: the largest data that an event may have.
        create: whether to create the tables if there are none.
        keys_for: how long a key counts as used, at least a day; None: forever.

    Raises:
        StoreFormatError: the schema holds something else, or a store of another format.
        StoreError: the database cannot be reached, or refuses.
        ValidationError: the address cannot be read, or an option is not valid.
    """

    _connections: Connections

    def __init__(
        self,
        url: str,
        *,
        payload_max_bytes: int = PAYLOAD_BYTES_MAX,
        create: bool = True,
        keys_for: timedelta | None = None,
    ) -> None:
        keeping = Keeping(keys_for)
        place = place_of(arguments.text("url", url))
        payload_max_bytes = payload_max(payload_max_bytes)
        create = arguments.flag("create", create)
        connections = Connections(place)
        with asking(place), contextlib.closing(connections.new()) as connection:
            self._store_id = prepare(connection, place.schema, str(uuid.uuid4()), create)
        news = News(connections, lambda: NotificationListener(connections), tells=place.listen)
        writer = Writer(connections, FunctionAppending(connections), news.appended)
        super().__init__(connections, news, writer, FunctionBounds(connections), payload_max_bytes, keeping)

    @staticmethod
    def upgrade(url: str) -> Upgraded:
        """Upgrade the tables of a store to the format of this version; returns the format before and now.

        Raises:
            StoreFormatError: they are of a newer format, or something else.
            StoreError: there is no store, or the database cannot be reached, or refuses.
        """
        place = place_of(arguments.text("url", url))
        with asking(place), contextlib.closing(Connections(place).new()) as connection:
            return upgrade(connection, place.schema)

    def flush(self) -> None:
        """Return when everything appended so far would survive a power cut, even if `synchronous_commit` is off."""
        self._connections.check()
        with self._connections.asking(), contextlib.closing(self._connections.new()) as connection:
            connection.execute("set synchronous_commit to on")
            connection.execute("select pg_current_xact_id()")  # a commit of its own, flushed with all before it

    def stats(self) -> StoreStats:
        """How much the store holds."""
        events, streams, size = self._one(
            "select (select count(*) from {schema}.events), (select count(*) from {schema}.streams),"
            " (select sum(pg_total_relation_size(c.oid)) from pg_catalog.pg_class c"
            " where c.relkind = 'r' and c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = %s))",
            self._connections.place.schema,
        )
        return StoreStats(events=events, streams=streams, bytes=int(size), segments=1, last_flush=None)

    def reactions(self) -> ReactionPort:
        """The store's record of reactions, opened for one program: targets, leases, and their pending work.

        It is closed with the store. Apps do all this themselves; use it to look at a store without an app.
        """
        found = open_reactions(self._connections, self._news)
        self._closing.add(found)
        return found

    def rows(self) -> DatabaseRows | None:
        """Events as rows, for the framework. None in a subclass, whose verbs may do more."""
        return DatabaseRows(self) if type(self) is PostgresStore else None

    def keys(self) -> DatabaseKeys | None:
        """Appending once, for the framework. None in a subclass, as `rows`."""
        return DatabaseKeys(self) if type(self) is PostgresStore else None

    def transfer(self) -> Transfer:
        """Copies everything that the store holds, out and in, unchanged; for the framework."""
        return PostgresTransfer(self._connections, self._store_id)

    def _count_names(self) -> None:
        self._ask("select {schema}.count_names()")

    def _save_snapshot(self, stream: str, version: int, data: bytes) -> bool:
        saved = self._ask(
            "insert into {schema}.snapshots"
            " select stream, %s, (extract(epoch from clock_timestamp()) * 1000000)::bigint, %b"
            " from {schema}.streams where stream = %s and version >= %s"
            " on conflict (stream, version) do update set data = excluded.data, created_us = excluded.created_us"
            " returning version",
            version, data, stream, version,
        )  # fmt: skip
        return bool(saved)
