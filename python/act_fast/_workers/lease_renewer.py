"""Renews leases whose handlers take long, at half time: one thread for all that a process holds."""

import threading
import time
from typing import Final

from act_fast._runtime.logger import log
from act_fast._workers.handler_pool import Batch
from act_fast._workers.lease import Lease
from act_fast.errors import StoreClosedError
from act_fast.stores.reaction_port import ReactionPort

__all__ = ["Renewer"]

_AGAIN_SECONDS: Final = 1.0


class Renewer:
    """Holds on to the leases of batches. Its thread is asleep unless one of them is halfway through its time.

    It costs nothing while cycles are shorter than that: they come and go between two looks of the thread.
    """

    def __init__(self, port: ReactionPort) -> None:
        self._port = port
        # Taken by itself: the methods of a condition are written in Python, so Ctrl-C in one could keep the lock.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._held: dict[Batch, float] = {}
        self._thread: threading.Thread | None = None
        self._idle = False
        self._closed = False

    def hold(self, batch: Batch) -> None:
        """Renew the leases of a batch that have not ended, until it is dropped."""
        half = min(lease.lease_ms for lease in batch.leases) / 2000
        with self._lock:
            self._held[batch] = time.monotonic() + half
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="act-fast-renewer", daemon=True)
                thread.start()  # it may not be possible now, and then it is tried again by the next
                self._thread = thread
            elif self._idle or half < _AGAIN_SECONDS:
                self._changed.notify()

    def drop(self, batch: Batch) -> None:
        """Renew no more."""
        with self._lock:
            self._held.pop(batch, None)

    def abandon(self) -> None:
        """End the thread without waiting for it: for when whoever had this is collected."""
        self._closed = True
        with self._lock:
            self._held.clear()
            self._changed.notify()

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._closed = True
            self._held.clear()
            thread = self._thread
            self._changed.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            for batch in due:
                try:
                    self._renew(batch)
                except StoreClosedError:
                    return
                except Exception as error:  # the disk, perhaps; there is half a lease left to try again
                    log.warning("renewing leases failed: %s", error)

    def _next(self) -> list[Batch] | None:
        """The batches that are halfway through; None when this thread is to end."""
        with self._lock:
            while not self._closed:
                now = time.monotonic()
                due = [batch for batch, when in self._held.items() if when <= now]
                for batch in due:
                    self._held[batch] = now + min(lease.lease_ms for lease in batch.leases) / 2000
                if due:
                    return due
                self._idle = not self._held
                self._changed.wait(min(self._held.values()) - now if self._held else None)
                self._idle = False
            return None

    def _renew(self, batch: Batch) -> None:
        by_length: dict[int, list[Lease]] = {}
        for lease in batch.leases:
            if not lease.ended:
                by_length.setdefault(lease.lease_ms, []).append(lease)
        for lease_ms, leases in by_length.items():
            held = self._port.renew([(lease.number, lease.token) for lease in leases], lease_ms)
            for lease, still in zip(leases, held, strict=True):
                if not still and not lease.ended:
                    log.warning("the lease on %r was lost while its events were handled", lease.name)
                    lease.until = 0.0
