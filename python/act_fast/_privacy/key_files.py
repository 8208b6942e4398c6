"""One file for each key: written whole or not at all, and overwritten where it lies when the key is destroyed."""

import os
import secrets
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from act_fast._privacy.key_store import KeyRecord
from act_fast._runtime.flushing import flush
from act_fast.errors import KeyStoreError

__all__ = ["NEW", "KeyFile", "write_new"]

_MAGIC: Final = b"actkey1\n"
_LIVE: Final = b"L"
_DESTROYED: Final = b"D"
_STATE_AT: Final = len(_MAGIC)
_HEAD: Final = struct.Struct("<HII")
"""Bytes of the wrapped key, bytes of the rest, checksum of both"""
_WRAPPED_AT: Final = _STATE_AT + 1 + _HEAD.size
NEW: Final = ".new-"
"""What the names of files begin with that are being written"""

_encode: Final = msgspec.json.Encoder().encode


class KeyFile:
    """The file of one key.

        magic | state | sizes and checksum | wrapped key | everything else, as JSON

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> KeyRecord | None:
        """The record; None if there is no file."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyStoreError(f"the key {self._path.name} cannot be read: {error.strerror}") from error
        return self._parsed(data)

    def create(self, record: KeyRecord) -> bool:
        """Write the record, unless there is one; whether it was written. Either way one is safe on the disk then."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = write_new(self._path.parent, _packed(record))
        try:
            os.link(temporary, self._path)
            return True
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
            flush(self._path.parent)
            flush(self._path.parent.parent)

    def replace(self, record: KeyRecord) -> None:
        """Put a record in the place of the one that is there."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = write_new(self._path.parent, _packed(record))
        os.replace(temporary, self._path)
        flush(self._path.parent)
        flush(self._path.parent.parent)

    def mark_destroyed(self) -> None:
        """From now on the key counts as destroyed: one byte, so that this happens or not."""
        self._overwrite(_STATE_AT, _DESTROYED)

    def overwrite_key(self) -> None:
        """Write zeros over the wrapped key, where it lies."""
        with self._path.open("rb") as file:
            head = file.read(_WRAPPED_AT)
        size, _, _ = _HEAD.unpack_from(head, _STATE_AT + 1)
        self._overwrite(_WRAPPED_AT, bytes(min(size, self._path.stat().st_size - _WRAPPED_AT)))

    def is_empty(self) -> bool:
        """Whether there is no wrapped key in it, not even an overwritten one."""
        size: int = _HEAD.unpack_from(self._path.read_bytes(), _STATE_AT + 1)[0]
        return size == 0

    def _overwrite(self, at: int, data: bytes) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(file, data, at)
            os.fsync(file)
        finally:
            os.close(file)

    def _parsed(self, data: bytes) -> KeyRecord:
        try:
            if not data.startswith(_MAGIC):
                raise ValueError
            state = data[_STATE_AT : _STATE_AT + 1]
            size, rest, crc = _HEAD.unpack_from(data, _STATE_AT + 1)
            wrapped = data[_WRAPPED_AT : _WRAPPED_AT + size]
            other = data[_WRAPPED_AT + size : _WRAPPED_AT + size + rest]
            if state not in (_LIVE, _DESTROYED) or (state == _LIVE and zlib.crc32(wrapped + other) != crc):
                raise ValueError
            record = msgspec.json.decode(other, type=KeyRecord)
        except (ValueError, struct.error, msgspec.MsgspecError):
            raise KeyStoreError(
                f"the key {self._path.name} is damaged; restore it from a copy of the key store, or forget its subject"
            ) from None
        if state == _DESTROYED:
            forgotten = record.forgotten or record.created
            return KeyRecord(record.id, record.subject, "", b"", record.created, forgotten, record.reason)
        return msgspec.structs.replace(record, wrapped=wrapped)


def _packed(record: KeyRecord) -> bytes:
    other = _encode(msgspec.structs.replace(record, wrapped=b""))
    state = _LIVE if record.forgotten is None else _DESTROYED
    head = _HEAD.pack(len(record.wrapped), len(other), zlib.crc32(record.wrapped + other))
    return b"".join((_MAGIC, state, head, record.wrapped, other))


def write_new(folder: Path, data: bytes) -> Path:
    """A new file for the owner's eyes only, safe on the disk, under a name that means nothing yet."""
    path = folder / f"{NEW}{secrets.token_hex(8)}"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:])
        os.fsync(file)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(file)
    return path
