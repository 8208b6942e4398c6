"""Applying: the ordered log, record by record, to the replica. One process of the machine does so at a time.

The process that holds the lock applies; the others check now and then whether it is free. So when a process dies,
however it dies, another one continues after the last commit.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from act_fast import _core
from act_fast._runtime.file_lock import FileLock
from act_fast._runtime.forks import tell_in_child
from act_fast._runtime.logger import log as logger
from act_fast.errors import StoreClosedError, StoreCorruptError, StoreError
from act_fast.stores.ordered.port import OrderedLog
from act_fast.stores.replicated.late import LateLog
from act_fast.stores.replicated.opening import mark_damaged
from act_fast.stores.replicated.state import Applied, Member, State
from act_fast.stores.replicated.trouble import SharedTrouble

__all__ = ["Applier"]

_LOOK_SECONDS: Final = 0.25
"""How often a process looks whether the one that applies has gone."""

_READ_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.02
_SPEAK_SECONDS: Final = 10.0
_THERE_SECONDS: Final = 35.0
_SAVE_SECONDS: Final = 2.0
_SAVE_RECORDS: Final = 20_000
"""How much is gone through again after a crash, at most: so much of what was applied."""


class Applier:
    """Applies what there is, for as long as the store is open.

    Args:
        ordered: the ordered log.
        log: the replica.
        state: what is kept beside it.
        folder: where the lock is.
    """

    def __init__(self, ordered: OrderedLog, log: _core.Log, state: State, folder: Path) -> None:
        self._ordered = ordered
        self._log = log
        self._state = state
        self._lock = FileLock(folder / "applier", os.O_RDWR | os.O_CREAT)
        self._closing = threading.Event()
        self.begun: Final = threading.Event()
        """Set once this process applies, or cannot, or another one does."""
        self._trouble: Exception | None = None
        self._shared = SharedTrouble(folder)
        self.applies: bool = False
        self._saved_at = 0.0
        self._unsaved = 0
        self._wanted = 0
        self._applying = threading.Lock()
        self._core: _core.Applier | None = None
        self._offered: dict[int, bytes] = {}
        self._abandoned = False
        self._speak_at = 0.0
        self.say: Callable[[str, bytes], object] | None = None
        """Proposes a record without waiting for it."""
        self._thread = threading.Thread(target=self._run, name="act-fast-apply", daemon=True)
        self._thread.start()
        tell_in_child(self)

    def forked(self) -> None:
        """The thread that held the lock stayed with the parent, as did the applying thread; nothing is applied here."""
        self._applying = threading.Lock()

    @property
    def trouble(self) -> Exception | None:
        """Why nothing is applied just now, in this process or in another one that applies; None while all is well."""
        found = self._trouble if self.applies or self._trouble is not None else self._shared.heard()
        return found or (self._ordered.trouble if isinstance(self._ordered, LateLog) else None)

    @property
    def process(self) -> int | None:
        """The process that applies, as far as is known."""
        return os.getpid() if self.applies else self._shared.process()

    def save(self, timeout: float) -> int:
        """Have what was applied so far kept, so that a copy begins there; its place.

        Raises:
            StoreError: nothing was applied in time: why, if that is known.
        """
        self._wanted = wanted = self._log.applied()
        end = time.monotonic() + timeout
        while (place := self._state.place()) < wanted and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        if place < wanted:
            raise StoreError(
                f"what was applied to {self._log.path} is not kept: {self._trouble or 'it takes too long'}"
            )
        return place

    def end(self) -> None:
        """Come to an end, once a read that waits was ended, too."""
        self._closing.set()

    def close(self) -> None:
        """Come to an end; another process takes over."""
        self.end()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._lock.close()

    def abandon(self) -> None:
        """Come to an end, soon and without waiting for it, and let go of the ordered log: no one else will.

        Takes no lock, such as that of an event: the thread that collects a store may hold any.
        """
        self._abandoned = True

    @property
    def _ends(self) -> bool:
        return self._abandoned or self._closing.is_set()

    def _run(self) -> None:
        try:
            self._go_on()
        except BaseException as error:
            self._tell(StoreError(f"nothing is applied to {self._log.path} any more: {error!r}"))
            raise
        finally:
            self._lock.close()  # whatever ended this thread, another process may go on
            if self._abandoned:
                self._state.close()
                self._ordered.close()

    def _go_on(self) -> None:
        while not self._ends:
            if not self.applies and not self._lock.take():
                self.begun.set()
                self._closing.wait(_LOOK_SECONDS)
                continue
            if not self.applies:
                self.applies = True
                self._shared.say(None)
            try:
                self._apply()
                return
            except StoreClosedError:
                return
            except Exception as error:
                self._tell(error)
                self._closing.wait(_RETRY_SECONDS)

    def _tell(self, trouble: Exception | None) -> None:
        """Let all processes of the machine know what is wrong, or that all is well again."""
        before, self._trouble = self._trouble, trouble
        self.begun.set()
        if str(before) == str(trouble):
            return
        if self.applies:
            self._shared.say(trouble)
        if trouble is None:
            logger.info("what comes is applied to the replica %s again", self._log.path)
            return
        logger.warning("nothing is applied to the replica %s: %s", self._log.path, str(trouble))
        if isinstance(trouble, StoreCorruptError):
            mark_damaged(Path(self._log.path), str(trouble))

    def _apply(self) -> None:
        self._core = None
        while not self._ends:
            with self._applying:
                if self._core is None:  # at the beginning, and when applying has failed halfway
                    self._core = _core.Applier(self._log, self._state.core())
                    self._saved_at, self._unsaved = time.monotonic(), 0
                    self._ordered.skip(self._core.place)
                    self.begun.set()
                core = self._core
            try:
                entries = self._ordered.read(core.place, timeout=_READ_SECONDS)
            except StoreClosedError:
                break
            with self._applying:
                if self._core is core:
                    self._take_in(core, entries)
                    self._take_offered(core)
                    self._tell(None)
                    self._save(core, at_once=False)
            self._speak()
        with self._applying:
            if self._core is not None:
                self._save(self._core, at_once=True)
            self._core = None

    def offer(self, place: int, record: bytes) -> None:
        """Apply a record of this process, which has this place for good, once it is the next: it need not be read."""
        if not self._ordered.dense:
            return
        with self._applying:
            core = self._core
            if core is None or place <= core.place:
                return
            self._offered[place] = record
            with suppress(Exception):  # it is read, and then it is said what is wrong
                self._take_offered(core)

    def _take_offered(self, core: "_core.Applier") -> None:
        """Apply the records that were offered, as far as there is one for each place."""
        offered, self._offered = self._offered, {}
        following: list[tuple[int, bytes]] = []
        while (record := offered.pop(core.place + 1 + len(following), None)) is not None:
            following.append((core.place + 1 + len(following), record))
        self._take_in(core, following)
        self._ordered.skip(core.place)
        self._offered = {place: record for place, record in offered.items() if place > core.place}

    def _take_in(self, core: "_core.Applier", entries: Sequence[tuple[int, bytes]]) -> None:
        """Apply records, and keep what is not the core's. Where that fails, one begins again with what is kept."""
        if not entries:
            return
        self._core = None
        self._take([Applied(*each) for each in core.apply(entries)], core.duplicates())
        core.publish()
        self._unsaved += len(entries)
        self._core = core

    def _speak(self) -> None:
        """Tell the other nodes now and then that this one is there."""
        now = time.monotonic()
        if self.say is not None and now >= self._speak_at:
            self._speak_at = now + _SPEAK_SECONDS
            until_ms = self._log.log_time() + int(_THERE_SECONDS * 1000)
            said = Member(f"{socket.gethostname()}:{os.getpid()}", self._log.path, self._log.applied(), until_ms)
            self.say("member", msgspec.json.encode(said))

    def _take(self, applied: list[Applied], duplicates: list[tuple[int, int]]) -> None:
        if (applied or duplicates) and self._state.take(applied, duplicates):
            self._log.wake()
            self._log.moved()

    def _save(self, core: "_core.Applier", *, at_once: bool) -> None:
        if not self._unsaved:
            return
        now = time.monotonic()
        at_once = at_once or self._wanted > self._state.place()
        if at_once or self._unsaved >= _SAVE_RECORDS or now - self._saved_at > _SAVE_SECONDS:
            place, state = core.place, core.state()
            self._log.flush()
            self._state.save_core(place, state)
            self._saved_at, self._unsaved = now, 0
