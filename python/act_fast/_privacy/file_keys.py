"""Keys in a directory of their own."""

import base64
import errno
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from act_fast._checks import arguments
from act_fast._privacy.key_files import NEW, KeyFile, write_new
from act_fast._privacy.key_store import KeyRecord, KeyStore, Rotated, context_of
from act_fast._privacy.master_key import KEY_BYTES, LocalMasterKey, MasterKey
from act_fast._runtime.file_lock import FileLock
from act_fast._runtime.flushing import flush
from act_fast.errors import KeyStoreError, ValidationError

__all__ = ["FileKeyStore"]

_FORMAT: Final = 1
_GENERATION_BYTES: Final = 8
_STORE: Final = "key-store.json"
_MASTER: Final = "master.key"
_NEXT: Final = "master.next"
_encode: Final = msgspec.json.Encoder().encode


class _About(msgspec.Struct):
    """What `key-store.json` says."""

    format: int
    salt: str


class FileKeyStore(KeyStore):
    """Keys in a directory of their own, on this machine. Any number of processes may use it at once.

        app = Act("bank.act", Customer, keys=FileKeyStore("bank.keys"))

    Keep the directory out of backups of the store, and back it up on its own, for a limited time. Only its owner can
    read it. A new key is on the disk before anything is sealed with it; a destroyed one is overwritten where it lies.

    Args:
        path: the directory; created if it does not exist.
        master: what wraps the keys; None keeps a random master key in the directory itself.
        previous: master keys that some keys may still be wrapped by, until `rotate`.

    Raises:
        ValidationError: an argument is wrong, or `path` is within a store of events.
        KeyStoreError: it is something else, or cannot be opened.
        MissingExtraError: cryptography is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        master: MasterKey | None = None,
        previous: Sequence[MasterKey] = (),
    ) -> None:
        self._path = Path(arguments.directory(path)).absolute()
        _check_apart(self._path)
        self._given = master
        self._previous = {each.id: each for each in previous}
        self._own: dict[str, LocalMasterKey] = {}
        self._closing = threading.Lock()
        try:
            self._salt = self._open()
            with self._locked(alone=False):
                self._read_masters()
        except OSError as error:
            raise KeyStoreError(f"the key store {self._path} cannot be opened: {error.strerror}") from error

    @property
    def path(self) -> str:
        """The directory."""
        return str(self._path)

    @property
    def salt(self) -> bytes:
        """See `KeyStore`."""
        return self._salt

    def find(self, id: str) -> KeyRecord | None:
        """See `KeyStore`."""
        found = self._file(id).read()
        if found is None and not (self._path / "keys").is_dir():
            raise KeyStoreError(f"the key store {self._path} cannot be used: {os.strerror(errno.ENOENT)}")
        return found

    def create(self, id: str, subject: str) -> KeyRecord:
        """See `KeyStore`."""
        with self._locked(alone=False):
            self._read_masters()
            master = self._newest()
            wrapped = master.wrap(os.urandom(KEY_BYTES), context_of(id, subject))
            record = KeyRecord(id, subject, master.id, wrapped, datetime.now(UTC))
            file = self._file(id)
            if file.create(record):
                return record
            found = file.read()
        if found is None:
            raise KeyStoreError(f"the key {id} was removed from {self._path} while it was looked at")
        return found

    def unwrap(self, record: KeyRecord) -> bytes:
        """See `KeyStore`."""
        if self._master(record.master) is None:
            with self._locked(alone=False):
                self._read_masters()
                record = self.find(record.id) or record  # it may have been rotated meanwhile
        return self._unwrap(record)

    def destroy(self, id: str, subject: str, reason: str) -> KeyRecord:
        """See `KeyStore`."""
        with self._locked(alone=True):
            file, there = self._file(id), self._path_of(id).exists()
            try:
                found = file.read()
            except KeyStoreError:  # a damaged one is destroyed all the more
                found = None
            if found is not None and found.forgotten is not None and file.is_empty():
                return found
            if there:
                file.mark_destroyed()
            self._bump()
            if there:
                file.overwrite_key()
            now = datetime.now(UTC)
            left = KeyRecord(id, subject, "", b"", now if found is None else found.created, now, reason)
            file.replace(left)
            return left

    def generation(self) -> int:
        """See `KeyStore`."""
        return self._number[0]

    def records(self) -> Iterator[KeyRecord]:
        """See `KeyStore`."""
        for folder in sorted((self._path / "keys").iterdir()):
            for path in sorted(folder.glob("*.key")):
                found = KeyFile(path).read()
                if found is not None:
                    yield found

    def rotate(self) -> Rotated:
        """Wrap all keys under the newest master key, and let go of the others.

        If the master key is in the directory itself, a new one is made, and the old one is overwritten. Otherwise the
        newest is the one that this store was opened with as `master`. Interrupted, it goes on where it was when it is
        called again. Other processes wait meanwhile if they need a key that they do not have at hand.
        """
        with self._locked(alone=True):
            if self._given is None and not (self._path / _NEXT).exists():
                self._write_master(_NEXT, LocalMasterKey.new())
            self._read_masters()
            newest = self._newest()
            rewrapped = kept = destroyed = 0
            for record in self.records():
                if record.forgotten is not None:
                    destroyed += 1
                elif record.master == newest.id:
                    kept += 1
                else:
                    context = context_of(record.id, record.subject)
                    again = newest.wrap(self._unwrap(record), context)
                    self._file(record.id).replace(msgspec.structs.replace(record, master=newest.id, wrapped=again))
                    rewrapped += 1
            if self._given is None:
                self._take_next()
            self._clear()
            return Rotated(newest.id, rewrapped, kept, destroyed)

    def close(self) -> None:
        """Let go of the directory's files. Closing again does nothing."""
        with self._closing:
            self._number.release()
            self._generation.close()

    def __repr__(self) -> str:
        return f"FileKeyStore({str(self._path)!r})"

    def _open(self) -> bytes:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self._path / _STORE).exists() and any(self._path.iterdir()) and not (self._path / "lock").exists():
            raise KeyStoreError(f"{self._path} is a directory with other things in it; name an empty or a new one")
        with self._locked(alone=True):
            if not (self._path / _STORE).exists():
                self._begin()
            about = self._about()
        file = os.open(self._path / "generation", os.O_RDWR | os.O_CLOEXEC)
        try:
            self._generation = mmap.mmap(file, _GENERATION_BYTES)
            self._number = memoryview(self._generation).cast("Q")
        finally:
            os.close(file)
        return bytes.fromhex(about.salt)

    def _begin(self) -> None:
        """Make a new store; `key-store.json` comes last, and says that the rest is there."""
        os.chmod(self._path, 0o700)
        (self._path / "keys").mkdir(mode=0o700, exist_ok=True)
        os.replace(write_new(self._path, bytes(_GENERATION_BYTES)), self._path / "generation")
        if self._given is None and not (self._path / _MASTER).exists():
            self._write_master(_MASTER, LocalMasterKey.new())
        about = _encode(_About(_FORMAT, os.urandom(16).hex()))
        os.replace(write_new(self._path, about), self._path / _STORE)
        flush(self._path)
        flush(self._path.parent)

    def _about(self) -> _About:
        try:
            about = msgspec.json.decode((self._path / _STORE).read_bytes(), type=_About)
        except msgspec.MsgspecError:
            raise KeyStoreError(f"{self._path / _STORE} is damaged; restore it from a copy of the key store") from None
        if about.format != _FORMAT:
            raise KeyStoreError(f"{self._path} has format {about.format}; this version of act-fast knows {_FORMAT}")
        return about

    @contextmanager
    def _locked(self, *, alone: bool) -> Iterator[None]:
        """Together with all who add keys, or alone, to destroy or rotate."""
        try:
            lock = FileLock(self._path / "lock", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise KeyStoreError(f"the key store {self._path} cannot be used: {error.strerror}") from error
        try:
            os.chmod(self._path / "lock", 0o600)
            lock.wait() if alone else lock.share()
            yield
        except OSError as error:
            raise KeyStoreError(f"the key store {self._path} cannot be used: {error.strerror}") from error
        finally:
            lock.close()

    def _path_of(self, id: str) -> Path:
        if not id.isalnum() or not id.isascii():
            raise KeyStoreError("a sealed value names a key that no key store has; it was changed")
        return self._path / "keys" / id[:2] / f"{id}.key"

    def _file(self, id: str) -> KeyFile:
        return KeyFile(self._path_of(id))

    def _bump(self) -> None:
        self._number[0] += 1
        self._generation.flush()

    def _master(self, id: str) -> MasterKey | None:
        if self._given is not None and self._given.id == id:
            return self._given
        return self._own.get(id) or self._previous.get(id)

    def _newest(self) -> MasterKey:
        """What new keys are wrapped by: of an unfinished rotation the new master key."""
        if self._given is not None:
            return self._given
        return [*self._own.values()][-1]

    def _unwrap(self, record: KeyRecord) -> bytes:
        """A key that is wrapped by a master key at hand."""
        master = self._master(record.master)
        if master is None:
            raise KeyStoreError(
                f"the key {record.id} is wrapped by master key {record.master!r}, which is not at hand; pass it as"
                " master= or in previous=[...]"
            )
        return master.unwrap(record.wrapped, context_of(record.id, record.subject))

    def _read_masters(self) -> None:
        own = [self._read_master(name) for name in (_MASTER, _NEXT)]
        self._own = {each.id: each for each in own if each is not None}
        if self._given is None and not self._own:
            raise KeyStoreError(
                f"{self._path} has no master key in it, so it was made with one from elsewhere; pass it as master="
            )

    def _read_master(self, name: str) -> LocalMasterKey | None:
        try:
            text = (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return LocalMasterKey(base64.b64decode(text.strip(), validate=True))
        except ValueError:  # overwritten at the end of a rotation that did not get further
            return None

    def _write_master(self, name: str, master: LocalMasterKey) -> None:
        os.replace(write_new(self._path, base64.b64encode(master.secret) + b"\n"), self._path / name)
        flush(self._path)

    def _take_next(self) -> None:
        """The new master key becomes the only one; the old one is overwritten where it lies."""
        old = self._path / _MASTER
        if old.exists():
            file = os.open(old, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(file, bytes(os.fstat(file).st_size), 0)
                os.fsync(file)
            finally:
                os.close(file)
        os.replace(self._path / _NEXT, old)
        flush(self._path)
        self._read_masters()

    def _clear(self) -> None:
        """Remove what processes left that died while they wrote; nobody else writes now."""
        for path in (*self._path.glob(f"{NEW}*"), *(self._path / "keys").glob(f"*/{NEW}*")):
            path.unlink(missing_ok=True)


def _check_apart(path: Path) -> None:
    """Refuse a place within a store of events: a backup of the one would be one of the other."""
    for folder in (path, *path.parents):
        if (folder / "control").exists() and (folder / "log").exists():
            raise ValidationError(f"{path} is within the store {folder}; choose a place outside, best on another disk")
