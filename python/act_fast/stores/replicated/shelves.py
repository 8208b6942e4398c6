"""Where checkpoints are kept: in a folder, or in object storage. Both show a file only once it is there completely."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from act_fast._checks import arguments
from act_fast._checks.extras import missing
from act_fast.errors import StoreCorruptError, StoreError, ValidationError
from act_fast.stores.ordered.address import parts_of

if TYPE_CHECKING:
    from obstore.store import S3Store

__all__ = ["MANIFEST", "FolderShelf", "ObjectShelf", "Shelf", "shelf_at"]

MANIFEST: Final = "checkpoint.json"
"""The file without which a checkpoint is none. It is written last, and removed first."""

_CHUNK_BYTES: Final = 1024 * 1024
_OBJECT_CHUNK_BYTES: Final = 8 * 1024 * 1024


class Shelf(Protocol):
    """A place for checkpoints, each of which has a name and files."""

    @property
    def name(self) -> str:
        """Where it is, for people: without credentials."""
        ...

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """The names of the checkpoints that are complete, and their manifests."""
        ...

    def read(self, checkpoint: str, file: str) -> Iterator[bytes]:
        """A file, piece by piece.

        Raises:
            StoreCorruptError: there is no such file.
        """
        ...

    def remove(self, checkpoint: str) -> None:
        """Remove a checkpoint."""
        ...

    def filling(self, checkpoint: str, beside: Path) -> AbstractContextManager[Path]:
        """A folder of this machine that becomes the checkpoint at the end of a block, unless that ends with an error.

        Args:
            checkpoint: its name.
            beside: a folder beside which there is room.
        """
        ...


def shelf_at(where: "str | os.PathLike[str] | Shelf") -> Shelf:
    """The shelf at a path, or at `s3://key:secret@bucket/prefix?endpoint=…&region=…`.

    Raises:
        ValidationError: it is neither.
        StoreError: the client of object storage is not installed.
    """
    if isinstance(where, FolderShelf | ObjectShelf):
        return where
    if isinstance(where, str) and where.startswith("s3://"):
        return ObjectShelf(where)
    return FolderShelf(Path(arguments.directory(where)))  # type: ignore[arg-type]


class FolderShelf:
    """A folder: see `Shelf`.

    Args:
        folder: made when the first checkpoint is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """See `Shelf`."""
        for path in self._folder.glob(f"*/{MANIFEST}"):
            try:
                yield path.parent.name, path.read_bytes()
            except FileNotFoundError:
                continue  # removed meanwhile, by a process that keeps the newest ones
            except OSError as error:
                raise StoreCorruptError(f"{path} cannot be read: {error}") from error

    def read(self, checkpoint: str, file: str) -> Iterator[bytes]:
        """See `Shelf`."""
        path = self._folder / checkpoint / file
        try:
            with open(path, "rb") as opened:
                while chunk := opened.read(_CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as error:
            raise StoreCorruptError(f"{path} is missing from the checkpoint") from error

    def remove(self, checkpoint: str) -> None:
        """See `Shelf`."""
        (self._folder / checkpoint / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self._folder / checkpoint, ignore_errors=True)

    @contextmanager
    def filling(self, checkpoint: str, beside: Path) -> Iterator[Path]:
        """See `Shelf`. It is filled where it stays."""
        target = self._folder / checkpoint
        try:
            target.mkdir(parents=True)
            yield target
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise


class ObjectShelf:
    """A prefix in a bucket of S3, or of what speaks its protocol: see `Shelf`.

    Args:
        address: `s3://key:secret@bucket/prefix`. Without a key, the credentials are those of the environment. Options:
            `endpoint=` (a URL) and `region=`.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        unknown = sorted(parts.options.keys() - {"endpoint", "region"})
        if unknown:
            raise ValidationError(
                f"the address {parts} has no option {' or '.join(unknown)}; there are endpoint and region"
            )
        if len(parts.hosts) != 1 or parts.hosts[0][1] or not parts.path:
            raise ValidationError("an address in S3 names a bucket and a prefix, as in s3://bucket/prefix")
        try:
            from act_fast.stores.ordered import objects
        except ImportError as error:
            raise missing("checkpoints at s3://", str(error.name), "s3") from error
        self._objects = objects
        self._name = str(parts)
        self._prefix = parts.path.strip("/")
        self._store: S3Store = objects.object_store(parts, retries=3)

    @property
    def name(self) -> str:
        """The address, without credentials."""
        return self._name

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """See `Shelf`."""
        for path in self._paths(f"{self._prefix}/"):
            checkpoint, _, file = path.removeprefix(f"{self._prefix}/").partition("/")
            if file == MANIFEST:
                with suppress(StoreCorruptError):  # removed meanwhile
                    yield checkpoint, b"".join(self.read(checkpoint, MANIFEST))

    def read(self, checkpoint: str, file: str) -> Iterator[bytes]:
        """See `Shelf`."""
        objects, path = self._objects, f"{self._prefix}/{checkpoint}/{file}"
        with objects.asking(self._name):
            try:
                found = objects.obstore.get(self._store, path)
                for chunk in found.stream(min_chunk_size=_OBJECT_CHUNK_BYTES):
                    yield bytes(chunk)
            except (objects.wrong.NotFoundError, FileNotFoundError) as error:
                raise StoreCorruptError(f"{self._name}/{checkpoint}/{file} is missing from the checkpoint") from error

    def remove(self, checkpoint: str) -> None:
        """See `Shelf`."""
        paths = list(self._paths(f"{self._prefix}/{checkpoint}/"))
        with self._objects.asking(self._name):
            for path in sorted(paths, key=lambda each: not each.endswith(f"/{MANIFEST}")):
                self._objects.obstore.delete(self._store, path)

    @contextmanager
    def filling(self, checkpoint: str, beside: Path) -> Iterator[Path]:
        """See `Shelf`. It is filled beside the replica, and then put there, the manifest last."""
        with tempfile.TemporaryDirectory(prefix=f".{beside.name}.checkpoint-", dir=beside.parent) as folder:
            yield Path(folder)
            try:
                self._put(Path(folder), checkpoint)
            except BaseException:
                with suppress(StoreError):
                    self.remove(checkpoint)
                raise

    def _put(self, folder: Path, checkpoint: str) -> None:
        paths = sorted((each for each in folder.rglob("*") if each.is_file()), key=lambda each: each.name == MANIFEST)
        for path in paths:
            with self._objects.asking(self._name):
                name = f"{self._prefix}/{checkpoint}/{path.relative_to(folder).as_posix()}"
                self._objects.obstore.put(self._store, name, path)

    def _paths(self, prefix: str) -> Iterator[str]:
        with self._objects.asking(self._name):
            for page in self._objects.obstore.list(self._store, prefix):
                for each in page:
                    yield each["path"]
