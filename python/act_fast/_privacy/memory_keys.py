"""Keys in the memory of this process, for tests and for trying things out."""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from act_fast._privacy.key_store import KeyRecord, KeyStore, Rotated, context_of
from act_fast._privacy.master_key import KEY_BYTES, LocalMasterKey

__all__ = ["MemoryKeyStore"]


class MemoryKeyStore(KeyStore):
    """A key store in this process's memory. What was sealed with its keys can never be read again once it is gone."""

    def __init__(self) -> None:
        self._salt = os.urandom(16)
        self._records: dict[str, KeyRecord] = {}
        self._generation = 0
        self._masters: list[LocalMasterKey] = [LocalMasterKey.new()]
        self._lock = threading.Lock()

    @property
    def salt(self) -> bytes:
        """See `KeyStore`."""
        return self._salt

    def find(self, id: str) -> KeyRecord | None:
        """See `KeyStore`."""
        return self._records.get(id)

    def create(self, id: str, subject: str) -> KeyRecord:
        """See `KeyStore`."""
        with self._lock:
            if (found := self._records.get(id)) is not None:
                return found
            master = self._masters[-1]
            wrapped = master.wrap(os.urandom(KEY_BYTES), context_of(id, subject))
            made = self._records[id] = KeyRecord(id, subject, master.id, wrapped, datetime.now(UTC))
            return made

    def unwrap(self, record: KeyRecord) -> bytes:
        """See `KeyStore`."""
        master = next(each for each in self._masters if each.id == record.master)
        return master.unwrap(record.wrapped, context_of(record.id, record.subject))

    def destroy(self, id: str, subject: str, reason: str) -> KeyRecord:
        """See `KeyStore`."""
        with self._lock:
            now = datetime.now(UTC)
            found = self._records.get(id)
            if found is not None and found.forgotten is not None:
                return found
            created = now if found is None else found.created
            left = self._records[id] = KeyRecord(id, subject, "", b"", created, now, reason)
            self._generation += 1
            return left

    def generation(self) -> int:
        """See `KeyStore`."""
        return self._generation

    def records(self) -> Iterator[KeyRecord]:
        """See `KeyStore`."""
        return iter([*self._records.values()])

    def rotate(self) -> Rotated:
        """See `KeyStore`."""
        with self._lock:
            master = LocalMasterKey.new()
            destroyed = rewrapped = 0
            for record in [*self._records.values()]:
                if record.forgotten is not None:
                    destroyed += 1
                    continue
                context = context_of(record.id, record.subject)
                wrapped = master.wrap(self.unwrap(record), context)
                self._records[record.id] = KeyRecord(record.id, record.subject, master.id, wrapped, record.created)
                rewrapped += 1
            self._masters = [master]
            return Rotated(master.id, rewrapped, 0, destroyed)

    def close(self) -> None:
        """Nothing is open."""

    def __repr__(self) -> str:
        return f"MemoryKeyStore({len(self._records)} keys)"
