"""Where archived log files are when that is no folder: in object storage. The core calls what is opened here."""

import os
from contextlib import suppress
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from act_fast._checks import arguments
from act_fast._checks.extras import missing
from act_fast.errors import ValidationError
from act_fast.stores.ordered.address import Parts, parts_of

__all__ = ["ObjectShelf", "Shelf", "archive_address", "shelf"]

_OPTIONS: Final = ("endpoint", "region")
_logins: Final[dict[str, Parts]] = {}
"""The addresses that came with credentials, by what is kept of them. Credentials stay in this process."""


class Shelf(Protocol):
    """A place that keeps whole objects by name, as the core asks for it."""

    def put(self, name: str, data: bytes) -> None:
        """Put an object there, whole or not at all, in the place of whatever has its name."""
        ...

    def read(self, name: str, at: int, size: int) -> bytes:
        """Some bytes of an object.

        Raises:
            FileNotFoundError: there is none of that name.
        """
        ...

    def size(self, name: str) -> int | None:
        """How many bytes an object has; None if there is none."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        ...


def archive_address(to: str | os.PathLike[str]) -> str:
    """The address of an archive as a store keeps it: an absolute path, or one in S3, without credentials.

    Raises:
        ValidationError: it is neither.
        StoreError: the client of object storage is not installed.
    """
    if isinstance(to, str) and "://" in to:
        parts = _parts(to)
        options = {key: parts.options[key] for key in _OPTIONS if key in parts.options}
        kept = f"{parts}{(options and '?' + urlencode(options)) or ''}"
        if parts.user:
            _logins[kept] = parts
        _objects()
        return kept
    return os.path.abspath(arguments.directory(to))


def shelf(address: str) -> Shelf:
    """Open the shelf at an address that a store has kept."""
    return ObjectShelf(_logins.get(address) or _parts(address))


class ObjectShelf:
    """A prefix in a bucket of S3, or of what speaks its protocol: see `Shelf`."""

    def __init__(self, parts: Parts) -> None:
        self._objects = _objects()
        self._name = str(parts)
        self._prefix = parts.path.strip("/")
        self._store = self._objects.object_store(parts, retries=3)

    def put(self, name: str, data: bytes) -> None:
        """See `Shelf`."""
        with self._objects.asking(self._name):
            self._objects.obstore.put(self._store, self._path(name), data)

    def read(self, name: str, at: int, size: int) -> bytes:
        """See `Shelf`."""
        with self._objects.asking(self._name):
            try:
                return bytes(self._objects.obstore.get_range(self._store, self._path(name), start=at, length=size))
            except (self._objects.wrong.NotFoundError, FileNotFoundError):
                pass
        raise FileNotFoundError(f"{self._name}/{name} is not there")

    def size(self, name: str) -> int | None:
        """See `Shelf`."""
        with self._objects.asking(self._name):
            try:
                return int(self._objects.obstore.head(self._store, self._path(name))["size"])
            except (self._objects.wrong.NotFoundError, FileNotFoundError):
                return None

    def remove(self, name: str) -> None:
        """See `Shelf`."""
        with self._objects.asking(self._name), suppress(self._objects.wrong.NotFoundError, FileNotFoundError):
            self._objects.obstore.delete(self._store, self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _parts(address: str) -> Parts:
    parts = parts_of(address)
    if parts.scheme != "s3":
        raise ValidationError(f"{parts} is no place for an archive; give the path of a folder, or s3://bucket/prefix")
    unknown = sorted(parts.options.keys() - set(_OPTIONS))
    if unknown:
        raise ValidationError(
            f"the address {parts} has no option {' or '.join(unknown)}; there are endpoint and region"
        )
    if len(parts.hosts) != 1 or parts.hosts[0][1] or not parts.path.strip("/"):
        raise ValidationError("an address in S3 names a bucket and a prefix, as in s3://bucket/prefix")
    return parts


def _objects() -> Any:
    try:
        from act_fast.stores.ordered import objects
    except ImportError as error:
        raise missing("an archive at s3://", str(error.name), "s3") from error
    return objects
