"""A copy of a distant store on this machine, for what reads much of it: SQL, Arrow, exports.

The copy is a log in a cache folder, which any number of processes share. It is brought up to date before each question,
by what was appended since; so a question reads from the database what is new, and all else from here. It is derived: it
can be removed at any time, and is rebuilt where it is not the store's any more.
"""

import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from act_fast._rows import Progress
from act_fast._runtime.file_lock import FileLock
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import StoreError, ValidationError
from act_fast.stores.capabilities import Transfer, is_copied, offers_columns, transfer_of
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store

__all__ = ["at_hand", "cache_folder", "for_replay"]

_PAYLOAD_BYTES_MAX: Final = 2**62
_CACHE: Final = "ACT_FAST_CACHE"


def at_hand(store: Store, progress: Progress | None = None) -> Store:
    """The store itself if its events are on this machine; else a copy of it, which is as far as it is now.

    Args:
        store: any store.
        progress: called now and then with (positions done, positions in all) while the copy is brought up to date.

    Raises:
        ValidationError: the store does not say how it is copied.
        StoreError: it cannot be read, or its copy cannot be written.
    """
    return store if offers_columns(store) else _copies.of(store).up_to_date(progress)


def for_replay(store: Store, streams: str | None) -> Store:
    """What a replay reads: all of a distant store is read from its copy, some of its streams from where they are."""
    return at_hand(store) if streams is None and is_copied(store) else store


def cache_folder() -> Path:
    """Where copies are: `ACT_FAST_CACHE`, else `act-fast` among the caches of whoever runs this program."""
    chosen = os.environ.get(_CACHE)
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "act-fast"


class _Copies:
    """The copies that this process has open."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Store, _Copy] = WeakKeyDictionary()
        self._lock = threading.Lock()
        tell_in_child(self)

    def forked(self) -> None:
        """What was open belongs to the parent."""
        self._known = WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, store: Store) -> "_Copy":
        transfer = transfer_of(store)
        with self._lock:
            found = self._known.get(store)
            if found is None:
                found = self._known[store] = _Copy(transfer, str(getattr(store, "path", "")))
            return found


class _Copy:
    """The copy of one store. It knows how the store is read, and not the store, which would never be let go of."""

    def __init__(self, source: Transfer, address: str) -> None:
        # Two databases may have the same store: one was made of a backup of the other.
        where = hashlib.sha256(address.encode()).hexdigest()[:8]
        self._folder = cache_folder() / f"{source.store_id}-{where}"
        self._source = source
        self._lock = threading.Lock()
        self._log: LogStore | None = None
        self._identity: tuple[int, int] | None = None

    def up_to_date(self, progress: Progress | None) -> LogStore:
        with self._lock:
            while True:
                log = self._opened()
                known = transfer_of(log).standing(log.head)
                head, there = self._source.standing(known[0])
                if known[1] != there:
                    self._begin_again()
                    continue
                if known[0] >= head or self._go_on(log, known[0], head, progress):
                    return log

    def _go_on(self, log: LogStore, after: int, head: int, progress: Progress | None) -> bool:
        """Copy what is new; False when another process was at it, too."""
        at = after
        with transfer_of(log).taking() as take:
            for page in self._source.commits(after, head):
                try:
                    take(page)
                except ValidationError:
                    if log.head == at:
                        raise
                    return False
                at = page[-1][0]
                if progress is not None:
                    progress(at, head)
        return True

    def _opened(self) -> LogStore:
        if self._log is not None and self._identity != self._found():
            self._log = None  # somebody has removed it
        if self._log is None:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"there is no room for a copy of the store at {self._folder} ({error.strerror or error}); name"
                    f" another folder in {_CACHE}"
                ) from error
            self._log = LogStore(self._folder / "log.act", durability="os", payload_max_bytes=_PAYLOAD_BYTES_MAX)
            self._identity = self._found()
        return self._log

    def _found(self) -> tuple[int, int] | None:
        """What tells the folder that is there from another one in its place."""
        try:
            found = os.stat(self._folder / "log.act")
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _begin_again(self) -> None:
        """Put away what is not a copy of the store any more, unless another process has done so."""
        if self._log is not None:
            self._log.close()
            self._log = None
        with _alone(self._folder):
            with self._opened() as log:
                _, last = known = transfer_of(log).standing(log.head)
                stale = self._source.standing(known[0])[1] != last
            self._log = None
            if stale:
                away = self._folder / f"stale-{secrets.token_hex(8)}"
                os.rename(self._folder / "log.act", away)
                shutil.rmtree(away, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """For one process at a time."""
    lock = FileLock(folder / "lock", os.O_RDWR | os.O_CREAT)
    try:
        lock.wait()
        yield
    finally:
        lock.close()


_copies: Final = _Copies()
