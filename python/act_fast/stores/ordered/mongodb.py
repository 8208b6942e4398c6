"""An ordered log in MongoDB: one document for each block, whose `_id` is its number, inserted once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from bson import Binary, Int64
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from act_fast.errors import EngineAwayError, EngineError, EngineRefusedError, NotDurableError, ValidationError
from act_fast.stores.ordered.address import Parts, parts_of
from act_fast.stores.ordered.numbered import NumberedLog

__all__ = ["MongoDbOrderedLog"]

_PORT: Final = 27017
_BLOCK_BYTES_MAX: Final = 8 * 1024 * 1024
_POLL_SECONDS: Final = 0.1
_POLL_SECONDS_MIN: Final = 0.005
_MEMBERS: Final = 3
_AWAY_MS: Final = 5000
_REFUSED: Final = (13, 18)  # unauthorized, authentication failed
_AWAY: Final = (6, 7, 64, 89, 91, 189, 11600, 11602, 10107, 13435, 13436, 262)  # no primary, shutting down, too slow


class MongoDbOrderedLog(NumberedLog):
    """A log in a collection of its own. Inserts are acknowledged by the majority, flushed; reads see only such.

    Args:
        address: `mongodb://user:password@host:27017,host/database/collection`. Options: `durability=engine` accepts
            less than a replica set of three; `poll=`: how many seconds at most until a new record is looked for; and of
            the client `replicaSet`, `authSource`, `tls`, `tlsCAFile`.

    Raises:
        EngineAwayError: no server answers.
        EngineRefusedError: the credentials are wrong, or lack a permission.
        NotDurableError: it is not a replica set of at least three members.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        documents = _Documents(parts)
        try:
            documents.check(parts)
            super().__init__(str(parts), documents)
        except BaseException:
            documents.close()
            raise


class _Documents:
    """Blocks as documents."""

    bytes_max = _BLOCK_BYTES_MAX

    def __init__(self, parts: Parts) -> None:
        database, _, name = parts.path.partition("/")
        if not parts.hosts or not database or not name:
            raise ValidationError(
                "a MongoDB address names hosts, a database and a collection, as in mongodb://host:27017/bank/log"
            )
        longest = parts.seconds("poll", _POLL_SECONDS)
        self.poll_seconds = (min(_POLL_SECONDS_MIN, longest), longest)
        self._name = str(parts)
        options: dict[str, Any] = {
            key: value for key, value in parts.options.items() if key in ("replicaSet", "authSource", "tlsCAFile")
        }
        if parts.user:
            options |= {"username": parts.user, "password": parts.password}
        if "tls" in parts.options:
            options["tls"] = parts.choice("tls", ("true", "false")) == "true"
        with _asking(self._name):
            self._client: MongoClient[dict[str, Any]] = MongoClient(
                [f"{host}:{port or _PORT}" for host, port in parts.hosts],
                serverSelectionTimeoutMS=_AWAY_MS,
                connectTimeoutMS=_AWAY_MS,
                socketTimeoutMS=2 * _AWAY_MS,
                retryWrites=False,
                appname="act-fast",
                **options,
            )
            options_of = {"write_concern": WriteConcern("majority", j=True), "read_concern": ReadConcern("majority")}
            self._blocks = self._client[database].get_collection(name, CodecOptions(), **options_of)  # type: ignore[arg-type]
            self._exact = self._blocks.with_options(read_concern=ReadConcern("linearizable"))

    def check(self, parts: Parts) -> None:
        """See whether this is a replica set that may lose a member."""
        accepted = parts.choice("durability", ("replicated", "engine")) == "engine"
        with _asking(self._name):
            hello = self._client.admin.command("hello")
        if "setName" not in hello:
            self._exact = self._blocks
        members = len(hello.get("hosts", [])) if "setName" in hello else 1
        if members < _MEMBERS and not accepted:
            raise NotDurableError(
                f"{self._name} is not a replica set of {_MEMBERS} members, so losing one machine may lose what it"
                " acknowledged; make it one, or accept it with ?durability=engine"
            )

    def put(self, number: int, block: bytes) -> bool:
        """Insert a document unless there is one of its number."""
        with _asking(self._name):
            try:
                self._blocks.insert_one({"_id": Int64(number), "block": Binary(block), "size": len(block)})
                return True
            except DuplicateKeyError:
                return False

    def get(self, number: int, count: int) -> Sequence[bytes]:
        """Find documents, up to the first that is not there."""
        with _asking(self._name):
            asked = {"_id": {"$gte": Int64(number), "$lt": Int64(number + count)}}
            found = list(self._blocks.find(asked).sort("_id", 1))
        return [bytes(each["block"]) for at, each in enumerate(found, number) if each["_id"] == at]

    def size(self, number: int) -> int | None:
        """The size of a document's block."""
        with _asking(self._name):
            found = self._exact.find_one({"_id": Int64(number)}, {"size": 1}, max_time_ms=_AWAY_MS)
        return int(found["size"]) if found else None

    def empty(self, first: int, below: int) -> None:
        """Leave of documents their numbers."""
        with _asking(self._name):
            for number in range(first, below):
                self._blocks.update_one({"_id": Int64(number)}, {"$set": {"block": Binary(b""), "size": 0}})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Turn what the client raises into our errors. None carries a password."""
    try:
        yield
    except (WriteConcernError, AutoReconnect, ExecutionTimeout, BulkWriteError) as error:
        raise EngineAwayError(f"{name} does not answer: {type(error).__name__}") from error
    except OperationFailure as error:
        if error.code in _REFUSED:
            raise EngineRefusedError(f"{name} refuses the credentials, or they lack a permission") from None
        if error.code in _AWAY:
            raise EngineAwayError(f"{name} does not answer: {error.code}") from error
        raise EngineError(f"{name} refuses: {error.code}") from error
    except ConfigurationError:
        raise ValidationError(f"the options in the address of {name} do not fit together") from None
    except PyMongoError as error:
        raise EngineAwayError(f"{name} does not answer: {type(error).__name__}") from error
