"""The store in a MySQL or MariaDB database."""

import contextlib
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from act_fast._checks import arguments
from act_fast._core import Appended
from act_fast._rows import ProposedPart
from act_fast.errors import StoreError, ValidationError
from act_fast.stores.capabilities import Transfer
from act_fast.stores.database.formats import Upgraded
from act_fast.stores.database.news import News
from act_fast.stores.database.store import PAYLOAD_BYTES_MAX, DatabaseKeys, DatabaseRows, DatabaseStore, payload_max
from act_fast.stores.database.writer import Writer
from act_fast.stores.given import Guards
from act_fast.stores.mysql.address import place_of
from act_fast.stores.mysql.appending import NOW_US, StatementAppending
from act_fast.stores.mysql.bounds import BisectBounds
from act_fast.stores.mysql.connections import Connection, Connections, asking, flush, run
from act_fast.stores.mysql.event_rows import size_of
from act_fast.stores.mysql.listener import LookingListener
from act_fast.stores.mysql.reactions import open_reactions
from act_fast.stores.mysql.schema import prepare, upgrade
from act_fast.stores.mysql.transfer import MySqlTransfer
from act_fast.stores.once import Keeping
from act_fast.stores.reaction_port import ReactionPort
from act_fast.stores.values import StoreStats

__all__ = ["MySqlStore"]

_PACKET_MIN: Final = 4 * 1024 * 1024

# In read committed, the events that are counted are not locked.
_COUNT_NAMES: Final = """
set transaction isolation level read committed;
start transaction;
select position into @act_from from {schema}.counted where one = 1 for update;
select position into @act_to from {schema}.log where one = 1;
insert into {schema}.names (name, count)
    select name, count(*) from {schema}.events where position > @act_from and position <= @act_to group by name
    on duplicate key update count = {schema}.names.count + values(count);
update {schema}.counted set position = @act_to where one = 1;
commit
"""


class MySqlStore(DatabaseStore[Connection]):
    """A store in a MySQL (8 or newer) or MariaDB (10.11 or newer) database: events are rows, which all programs share.

    Args:
        url: `mysql://user:password@host:3306/database`, or `mariadb://…`, with options after a `?`: `prefix=` is the
            prefix of the store's table names (`act_fast`), so that a database can hold several stores; `ssl_ca=`,
            `ssl_cert=` and `ssl_key=` name files for TLS; `unix_socket=`, `connect_timeout=`, and `lock_timeout=`,
            after how many seconds an append gives up waiting for another transaction.
        payload_max_bytes: the largest data that an event may have; it must also fit into `max_allowed_packet` twice.
        create: whether to create the tables if there are none.
        keys_for: how long a key counts as used, at least a day; None: forever.

    Raises:
        StoreFormatError: the database holds something else, or a store of another format.
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
            self._store_id = prepare(connection, place.prefix, str(uuid.uuid4()), create)
            ((connections.packet_max,),) = run(connection, "select @@max_allowed_packet")[-1]
        if connections.packet_max < _PACKET_MIN:
            raise StoreError(
                f"the database at {place} takes statements of at most {connections.packet_max} bytes; set"
                f" max_allowed_packet to {_PACKET_MIN} or more on the server"
            )
        news = News(connections, lambda: LookingListener(connections), tells=False)
        writer = Writer(connections, StatementAppending(connections), news.appended)
        super().__init__(connections, news, writer, BisectBounds(connections), payload_max_bytes, keeping)

    @staticmethod
    def upgrade(url: str) -> Upgraded:
        """Upgrade the tables of a store to the format of this version; returns the format before and now.

        Raises:
            StoreFormatError: they are of a newer format, or something else.
            StoreError: there is no store, or the database cannot be reached, or refuses.
        """
        place = place_of(arguments.text("url", url))
        with asking(place), contextlib.closing(Connections(place).new()) as connection:
            return upgrade(connection, place.prefix)

    def flush(self) -> None:
        """Return when everything appended so far would survive a power cut.

        With `innodb_flush_log_at_trx_commit = 1`, the default, it does so anyway; otherwise this needs the right
        `RELOAD`.
        """
        flush(self._connections)

    def stats(self) -> StoreStats:
        """How much the store holds."""
        events, streams, size = self._one(
            "select (select count(*) from {schema}.events), (select count(*) from {schema}.streams),"
            " (select cast(sum(data_length + index_length) as signed) from information_schema.tables"
            " where table_schema = database() and table_name like %s)",
            self._connections.place.prefix.replace("_", "\\_") + "\\_%",
        )
        return StoreStats(events=events, streams=streams, bytes=int(size or 0), segments=1, last_flush=None)

    def reactions(self) -> ReactionPort:
        """The store's record of reactions, opened for one program: targets, leases, and their pending work.

        It is closed with the store. Apps do all this themselves; use it to look at a store without an app.
        """
        found = open_reactions(self._connections, self._news)
        self._closing.add(found)
        return found

    def rows(self) -> DatabaseRows | None:
        """Events as rows, for the framework. None in a subclass, whose verbs may do more."""
        return DatabaseRows(self) if type(self) is MySqlStore else None

    def keys(self) -> DatabaseKeys | None:
        """Appending once, for the framework. None in a subclass, as `rows`."""
        return DatabaseKeys(self) if type(self) is MySqlStore else None

    def transfer(self) -> Transfer:
        """Copies everything that the store holds, out and in, unchanged; for the framework."""
        return MySqlTransfer(self._connections, self._store_id)

    def _append_encoded(
        self, parts: Sequence[ProposedPart], meta: bytes, correlation: str | None, guards: Guards | None = None
    ) -> list[Appended]:
        packet_max = self._connections.packet_max
        found = None if correlation is None else correlation.encode()
        for stream, events, _ in parts:
            for name, data, *tags in events:
                if size_of(data, meta, found, *tags) > packet_max:
                    raise ValidationError(
                        f"an event {name!r} of stream {stream!r} has {len(data)} bytes of data and {len(meta)} of meta,"
                        f" which is too large for this server: it must fit into max_allowed_packet ({packet_max}) twice"
                    )
        return super()._append_encoded(parts, meta, correlation, guards)

    def _count_names(self) -> None:
        self._connections.check()
        with self._connections.asking(), contextlib.closing(self._connections.new()) as connection:
            run(connection, self._connections.question(_COUNT_NAMES).text)

    def _save_snapshot(self, stream: str, version: int, data: bytes) -> bool:
        found = self._connections.change(
            "insert into {schema}.snapshots (stream, version, created_us, data)"
            f" select stream, %s, {NOW_US}, %s from {{schema}}.streams where stream = %s and version >= %s"
            " on duplicate key update data = values(data), created_us = values(created_us)",
            version, data, stream, version,
        )  # fmt: skip
        return bool(found)
