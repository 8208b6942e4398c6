"""An ordered log in object storage: one object for each block, put on the condition that there is none of its name."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import obstore
from obstore import exceptions as wrong
from obstore.store import S3Store

from act_fast.errors import EngineAwayError, EngineError, EngineRefusedError, NotDurableError, ValidationError
from act_fast.stores.ordered.address import Parts, parts_of
from act_fast.stores.ordered.numbered import NumberedLog

__all__ = ["S3OrderedLog", "asking", "object_store", "obstore", "wrong"]

_BLOCK_BYTES_MAX: Final = 8 * 1024 * 1024
_POLL_SECONDS: Final = 0.2
_POLL_SECONDS_MIN: Final = 0.02
_THREADS: Final = 8
_GONE_WRONG: Final = (wrong.BaseError, OSError)


class S3OrderedLog(NumberedLog):
    """A log in a bucket of S3, or of what speaks its protocol and honours `If-None-Match`.

    Args:
        address: `s3://key:secret@bucket/prefix`. Without a key, the credentials are those of the environment. Options:
            `endpoint=` (a URL), `region=`, and `poll=`, how many seconds at most until a new record is looked for.

    Raises:
        EngineAwayError: it cannot be reached.
        EngineRefusedError: the credentials are wrong, or lack a permission.
        NotDurableError: it would overwrite a block that is there.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        objects = _Objects(parts)
        try:
            objects.check()
        except BaseException:
            objects.close()
            raise
        super().__init__(str(parts), objects)


class _Objects:
    """Blocks as objects."""

    bytes_max = _BLOCK_BYTES_MAX

    def __init__(self, parts: Parts) -> None:
        if len(parts.hosts) != 1 or parts.hosts[0][1] or not parts.path:
            raise ValidationError("an address in S3 names a bucket and a prefix, as in s3://bucket/prefix")
        longest = parts.seconds("poll", _POLL_SECONDS)
        self.poll_seconds = (min(_POLL_SECONDS_MIN, longest), longest)
        self._name = str(parts)
        self._prefix = parts.path.strip("/")
        self._store = object_store(parts, retries=3)
        self._once = object_store(parts, retries=0)  # a put that was done and is retried inside would look refused
        self._pool = ThreadPoolExecutor(_THREADS, "act-fast-objects")

    def check(self) -> None:
        """See whether a second put of one name is refused."""
        self._create("conditional", b"puts of blocks are conditional")
        if self._create("conditional", b"but these are not"):
            raise NotDurableError(
                f"{self._name} overwrites what is there, so that writers would destroy each other's records; use a"
                " storage that honours If-None-Match"
            )

    def put(self, number: int, block: bytes) -> bool:
        """Put an object unless there is one of its name."""
        return self._create(_key(number), block)

    def get(self, number: int, count: int) -> Sequence[bytes]:
        """Get several objects at once, up to the first that is not there."""
        numbers = range(number, number + count)
        found = list(map(self._get, numbers) if count == 1 else self._pool.map(self._get, numbers))
        end = found.index(None) if None in found else count
        return [each for each in found[:end] if each is not None]

    def size(self, number: int) -> int | None:
        """The size of an object."""
        with asking(self._name):
            try:
                return int(obstore.head(self._store, self._path(_key(number)))["size"])
            except (wrong.NotFoundError, FileNotFoundError):
                return None

    def empty(self, first: int, below: int) -> None:
        """Put empty objects in the places of others."""
        with asking(self._name):
            for number in range(first, below):
                obstore.put(self._store, self._path(_key(number)), b"")

    def close(self) -> None:
        """Nothing stays open."""
        self._pool.shutdown(wait=False)

    def _create(self, name: str, block: bytes) -> bool:
        with asking(self._name):
            try:
                obstore.put(self._once, self._path(name), block, mode="create", use_multipart=False)
                return True
            except wrong.AlreadyExistsError:
                return False

    def _get(self, number: int) -> bytes | None:
        with asking(self._name):
            try:
                return bytes(obstore.get(self._store, self._path(_key(number))).bytes())
            except (wrong.NotFoundError, FileNotFoundError):
                return None

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _key(number: int) -> str:
    return f"{number:016x}"


def object_store(parts: Parts, retries: int) -> S3Store:
    """The bucket that an address names."""
    options: dict[str, Any] = {key: parts.options[key] for key in ("endpoint", "region") if key in parts.options}
    if parts.user:
        options |= {"access_key_id": parts.user, "secret_access_key": parts.password}
    plain = parts.options.get("endpoint", "").startswith("http://")
    with asking(str(parts)):
        return S3Store(
            parts.hosts[0][0],
            client_options={"timeout": "20s", "connect_timeout": "3s", "allow_http": plain},
            retry_config={"max_retries": retries},
            **options,
        )


@contextmanager
def asking(name: str) -> Iterator[None]:
    """Turn what the storage raises into our errors. Its own texts repeat requests, and are left out."""
    try:
        yield
    except (wrong.PermissionDeniedError, wrong.UnauthenticatedError):
        raise EngineRefusedError(f"{name} refuses the credentials, or they lack the right to get and put") from None
    except (wrong.NotFoundError, FileNotFoundError):
        raise EngineError(f"{name} is in a bucket that does not exist; create it first") from None
    except (wrong.NotSupportedError, wrong.UnknownConfigurationKeyError, wrong.InvalidPathError) as error:
        raise EngineError(f"{name} cannot be used: {type(error).__name__}") from None
    except _GONE_WRONG as error:
        raise EngineAwayError(f"{name} does not answer: {type(error).__name__}") from None
