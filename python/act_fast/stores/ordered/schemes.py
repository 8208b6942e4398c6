"""From the address of an ordered log to the log: one table of schemes, whose adapters are imported when needed."""

from dataclasses import dataclass
from importlib import import_module
from typing import Final

from act_fast.errors import StoreError, ValidationError
from act_fast.stores.ordered.address import split_options
from act_fast.stores.ordered.port import OrderedLog

__all__ = ["ORDERED_SCHEMES", "open_ordered_log", "split_address"]


@dataclass(frozen=True)
class _Adapter:
    """What opens the addresses of a scheme.

    Attributes:
        module: below this package.
        name: the class.
        extra: what brings its client; empty when none is needed.
        options: those of the address that are the adapter's.
    """

    module: str
    name: str
    extra: str
    options: frozenset[str]


def _adapter(module: str, name: str, extra: str, options: str) -> _Adapter:
    return _Adapter(module, name, extra, frozenset(options.split()))


_LIBPQ: Final = "sslmode sslrootcert sslcert sslkey connect_timeout target_session_attrs application_name"
_POSTGRES: Final = _adapter("postgres", "PostgresOrderedLog", "postgres", f"schema durability poll {_LIBPQ}")

_ADAPTERS: Final = {
    "cassandra": _adapter("cassandra", "CassandraOrderedLog", "cassandra", "durability replicas poll tls tls_ca"),
    "dir": _adapter("directory", "DirectoryOrderedLog", "", ""),
    "dynamodb": _adapter("dynamodb", "DynamoDbOrderedLog", "dynamodb", "endpoint poll"),
    "kafka": _adapter("kafka", "KafkaOrderedLog", "kafka", "durability replicas sasl tls tls_ca tls_cert tls_key"),
    "mongodb": _adapter(
        "mongodb", "MongoDbOrderedLog", "mongodb", "durability poll replicaSet authSource tls tlsCAFile"
    ),
    "nats": _adapter("nats", "NatsOrderedLog", "nats", "durability replicas creds token tls_ca tls_cert tls_key"),
    "postgres+log": _POSTGRES,
    "postgresql+log": _POSTGRES,
    "pulsar": _adapter("pulsar", "PulsarOrderedLog", "pulsar", "token tls tls_ca"),
    "s3": _adapter("objects", "S3OrderedLog", "s3", "endpoint region poll"),
}

ORDERED_SCHEMES: Final = frozenset(_ADAPTERS)
"""The schemes of addresses that an ordered log is at."""


def open_ordered_log(address: str) -> OrderedLog:
    """The log at an address; it is made when it is not there.

    Raises:
        ValidationError: the scheme or an option is not known, or the address cannot be read.
        EngineAwayError: the engine cannot be reached.
        EngineRefusedError: the credentials are wrong, or lack a permission.
        NotDurableError: the engine would lose what it acknowledged when it loses a machine.
        StoreError: the log cannot be opened.
    """
    adapter, scheme = _adapter_of(address), address.partition("://")[0]
    others = split_address(address)[1]
    if others:
        raise ValidationError(
            f"a {scheme}:// address has no option {' or '.join(sorted(others))}; there are"
            f" {', '.join(sorted(adapter.options))}"
        )
    try:
        found = getattr(import_module(f"act_fast.stores.ordered.{adapter.module}"), adapter.name)
    except ImportError as error:
        raise StoreError(
            f"a log at {scheme}:// needs {error.name}, which is not installed; pip install 'act-fast[{adapter.extra}]'"
        ) from error
    opened: OrderedLog = found(address)
    return opened


def split_address(address: str) -> tuple[str, dict[str, str]]:
    """An address as `open_ordered_log` takes it, and the options that are not the log's but its user's.

    Raises:
        ValidationError: the scheme is not known, or the address cannot be read.
    """
    return split_options(address, _adapter_of(address).options)


def _adapter_of(address: str) -> _Adapter:
    scheme, found, _ = address.partition("://")
    adapter = _ADAPTERS.get(scheme) if found else None
    if adapter is None:
        raise ValidationError(
            f"there is no ordered log at such an address; there are {', '.join(f'{each}://' for each in _ADAPTERS)}"
        )
    return adapter
