"""An ordered log in Cassandra: one row for each block, inserted by a lightweight transaction if there is none.

Rows lie in partitions of some blocks, so that none grows too large. All reads are serial, so that whatever was accepted
is seen, and what is seen stays.
"""

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    DriverException,
    OperationTimedOut,
    RequestExecutionException,
    RequestValidationException,
    Unauthorized,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import ConstantReconnectionPolicy, FallthroughRetryPolicy
from cassandra.query import tuple_factory

from act_fast.errors import EngineAwayError, EngineError, EngineRefusedError, NotDurableError, ValidationError
from act_fast.stores.ordered.address import Parts, parts_of
from act_fast.stores.ordered.numbered import NumberedLog

__all__ = ["CassandraOrderedLog"]

_PORT: Final = 9042
_BLOCK_BYTES_MAX: Final = 1024 * 1024
_BLOCKS: Final = 64
_REPLICAS: Final = 3
_POLL_SECONDS: Final = 0.1
_POLL_SECONDS_MIN: Final = 0.005
_CONNECT_SECONDS: Final = 5
_AGAIN_SECONDS: Final = 0.5
_REQUEST_SECONDS: Final = 5.0
_NAME_FITS: Final = re.compile(r"[a-z][a-z0-9_]{0,47}").fullmatch


class CassandraOrderedLog(NumberedLog):
    """A log in a table, made when it is not there, with its keyspace.

    Args:
        address: `cassandra://user:password@host:9042,host/keyspace/table`. Options: `replicas=` of a new keyspace,
            three unless given, `durability=engine` accepts fewer, `poll=`, how many seconds at most until a new record
            is looked for, `tls=true`, and `tls_ca=` a file.

    Raises:
        EngineAwayError: no node answers.
        EngineRefusedError: the credentials are wrong, or lack a permission.
        NotDurableError: the keyspace has fewer than three replicas.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        rows = _Rows(parts)
        try:
            rows.open(parts)
            super().__init__(str(parts), rows)
        except BaseException:
            rows.close()
            raise


class _Rows:
    """Blocks as rows."""

    bytes_max = _BLOCK_BYTES_MAX

    def __init__(self, parts: Parts) -> None:
        keyspace, _, table = parts.path.partition("/")
        if not parts.hosts or not _NAME_FITS(keyspace) or not _NAME_FITS(table):
            raise ValidationError(
                "a Cassandra address names hosts, a keyspace and a table, as in cassandra://host:9042/bank/log; names"
                " are of small letters, digits and _"
            )
        longest = parts.seconds("poll", _POLL_SECONDS)
        self.poll_seconds = (min(_POLL_SECONDS_MIN, longest), longest)
        self._name, self._keyspace, self._table = str(parts), keyspace, f"{keyspace}.{table}"
        profile = ExecutionProfile(
            consistency_level=ConsistencyLevel.QUORUM,
            serial_consistency_level=ConsistencyLevel.SERIAL,
            request_timeout=_REQUEST_SECONDS,
            row_factory=tuple_factory,
            retry_policy=FallthroughRetryPolicy(),
        )
        self._cluster: Any = Cluster(
            [(host, port or _PORT) for host, port in parts.hosts],
            auth_provider=PlainTextAuthProvider(parts.user, parts.password) if parts.user else None,
            ssl_context=_tls_of(parts),
            connect_timeout=_CONNECT_SECONDS,
            reconnection_policy=_reconnecting(),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            compression=False,
            protocol_version=4,
        )

    def open(self, parts: Parts) -> None:
        """Connect, and make the table."""
        accepted = parts.choice("durability", ("replicated", "engine")) == "engine"
        with _asking(self._name):
            self._session = self._cluster.connect()
            self._make_keyspace(parts, accepted)
            if not accepted:
                self._check_durable()
            self._session.execute(
                f"create table if not exists {self._table}"
                " (part bigint, number bigint, block blob, primary key (part, number))"
            )
            where = "where part = ? and number"
            self._put = self._prepare(f"insert into {self._table} (part, number, block) values (?, ?, ?) if not exists")
            self._get = self._prepare(
                f"select number, block from {self._table} {where} >= ? and number < ?", serial=True
            )
            self._size = self._prepare(f"select block from {self._table} {where} = ?", serial=True)
            self._empty = self._prepare(f"update {self._table} set block = 0x {where} = ? if exists")

    def put(self, number: int, block: bytes) -> bool:
        """Insert a row if there is none of its number."""
        return bool(self._ask(self._put, number // _BLOCKS, number, block)[0][0])

    def get(self, number: int, count: int) -> Sequence[bytes]:
        """Select rows of one partition, up to the first that is not there."""
        part = number // _BLOCKS
        found = self._ask(self._get, part, number, min(number + count, (part + 1) * _BLOCKS))
        return [block for each, (at, block) in enumerate(found, number) if each == at]

    def size(self, number: int) -> int | None:
        """The size of a row."""
        found = self._ask(self._size, number // _BLOCKS, number)
        return len(found[0][0]) if found else None

    def empty(self, first: int, below: int) -> None:
        """Leave of rows their numbers."""
        for number in range(first, below):
            self._ask(self._empty, number // _BLOCKS, number)

    def close(self) -> None:
        """Close all connections."""
        self._cluster.shutdown()

    def _make_keyspace(self, parts: Parts, accepted: bool) -> None:
        if self._replication() is not None:
            return
        nodes = len(self._cluster.metadata.all_hosts())
        replicas = parts.count("replicas", min(_REPLICAS, nodes) if accepted else _REPLICAS)
        if replicas > nodes:
            raise NotDurableError(
                f"{self._name} has {nodes} node(s), too few for {replicas} replicas; run more, or accept fewer with"
                " ?durability=engine"
            )
        self._session.execute(
            f"create keyspace if not exists {self._keyspace} with replication ="
            f" {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replicas}}}"
        )

    def _check_durable(self) -> None:
        found = self._replication() or {}
        factors = [int(each) for key, each in found.items() if key != "class" and each.isdecimal()]
        if sum(factors) < _REPLICAS:
            raise NotDurableError(
                f"the keyspace of {self._name} has {sum(factors)} replica(s), so losing one node may lose what it"
                f" acknowledged; give it {_REPLICAS}, or accept it with ?durability=engine"
            )

    def _replication(self) -> dict[str, str] | None:
        found = self._session.execute(
            "select replication from system_schema.keyspaces where keyspace_name = %s", (self._keyspace,)
        ).one()
        return dict(found[0]) if found else None

    def _prepare(self, text: str, *, serial: bool = False) -> Any:
        statement: Any = self._session.prepare(text)
        statement.consistency_level = ConsistencyLevel.SERIAL if serial else ConsistencyLevel.QUORUM
        return statement

    def _ask(self, statement: Any, *given: object) -> list[tuple[Any, ...]]:
        with _asking(self._name):
            return list(self._session.execute(statement, given))


def _tls_of(parts: Parts) -> ssl.SSLContext | None:
    if parts.choice("tls", ("false", "true")) == "false" and "tls_ca" not in parts.options:
        return None
    return ssl.create_default_context(cafile=parts.options.get("tls_ca"))


def _reconnecting() -> Any:
    forever: Any = None
    return ConstantReconnectionPolicy(_AGAIN_SECONDS, max_attempts=forever)


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Turn what the driver raises into our errors."""
    try:
        yield
    except (AuthenticationFailed, Unauthorized):
        raise EngineRefusedError(f"{name} refuses the credentials, or they lack a permission") from None
    except NoHostAvailable as error:
        causes = error.errors.values() if isinstance(error.errors, dict) else ()
        if any(isinstance(each, AuthenticationFailed) for each in causes):
            raise EngineRefusedError(f"{name} refuses the credentials in its address") from None
        raise EngineAwayError(f"{name} cannot be reached") from error
    except RequestValidationException as error:
        raise EngineError(f"{name} refuses: {error}") from error
    except (OperationTimedOut, RequestExecutionException, DriverException, OSError) as error:
        raise EngineAwayError(f"{name} does not answer: {type(error).__name__}") from error
