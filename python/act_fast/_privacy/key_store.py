"""What a key store is: a place for wrapped keys, which destroys them when it is told to."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

import msgspec

__all__ = ["KeyRecord", "KeyStore", "Rotated", "context_of", "key_id"]


class KeyRecord(msgspec.Struct, frozen=True):
    """A subject's key as a key store keeps it, or what is left of it.

    Attributes:
        id: what sealed values name it by.
        subject: whose it is.
        master: the id of the master key that has wrapped it; empty once it was destroyed.
        wrapped: the wrapped key; empty once it was destroyed.
        created: when it was made.
        forgotten: when it was destroyed; None while it lives.
        reason: why it was destroyed.
    """

    id: str
    subject: str
    master: str
    wrapped: bytes
    created: datetime
    forgotten: datetime | None = None
    reason: str = ""

    def __repr__(self) -> str:
        left = "live" if self.forgotten is None else "destroyed"
        return f"KeyRecord(id={self.id!r}, subject={self.subject!r}, {left})"


class Rotated(msgspec.Struct, frozen=True):
    """What a rotation did.

    Attributes:
        master: the id of the master key that everything is wrapped by now.
        rewrapped: how many keys were wrapped again.
        kept: how many were wrapped by it already.
        destroyed: how many were destroyed before, and have nothing to wrap.
    """

    master: str
    rewrapped: int
    kept: int
    destroyed: int


class KeyStore(Protocol):
    """A place for wrapped data keys, one for each subject. Any number of processes may use it at once."""

    @property
    def salt(self) -> bytes:
        """Random bytes, made with the store, that the ids of its keys depend on."""
        ...

    def find(self, id: str) -> KeyRecord | None:
        """The record of a key; None if there was never one of this id."""
        ...

    def create(self, id: str, subject: str) -> KeyRecord:
        """Make a key for a subject, and return it once it is safe; what is there already, if another was first."""
        ...

    def unwrap(self, record: KeyRecord) -> bytes:
        """The key itself.

        Raises:
            KeyStoreError: it does not open.
        """
        ...

    def destroy(self, id: str, subject: str, reason: str) -> KeyRecord:
        """Destroy a subject's key, or note that there will never be one, and return what is left; again: go on."""
        ...

    def generation(self) -> int:
        """A number that is another one after each destruction. It is asked before each use of a key."""
        ...

    def records(self) -> Iterator[KeyRecord]:
        """All records, in any order."""
        ...

    def rotate(self) -> Rotated:
        """Wrap all keys under the newest master key. Interrupted, it goes on where it was when it is called again."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def key_id(salt: bytes, subject: str) -> str:
    """The id of a subject's key: 16 letters and digits."""
    import base64

    digest = hashlib.blake2b(subject.encode(), digest_size=10, key=salt, person=b"act-fast key id").digest()
    return base64.b32encode(digest).decode().lower()


def context_of(id: str, subject: str) -> bytes:
    """What a wrapped key is bound to."""
    return f"act-fast data key\0{id}\0{subject}".encode()
