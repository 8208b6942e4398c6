"""Many stores in one process: an app and a worker for each, begun when the store appears and ended when it is gone."""

import glob
import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from act_fast import Act, AsyncAct
from act_fast._runtime.backoff import Backoff
from act_fast._runtime.logger import log
from act_fast._workers.host import Host
from act_fast._workers.worker import Worker
from act_fast.errors import ActError, ValidationError

__all__ = ["Make", "Tenants", "check", "stores_at"]

Make = Callable[[str], object]
"""Makes the app of the store at a path."""

_AGAIN: Final = Backoff(first=1.0, factor=2.0, longest=60.0)


def stores_at(pattern: str) -> list[str]:
    """The stores whose paths match a pattern such as `stores/*.act`."""
    return [path for path in sorted(glob.glob(pattern)) if os.path.isdir(os.path.join(path, "log"))]


class Tenants:
    """The workers of all stores at a pattern.

    Args:
        make: makes the app of a store.
        pattern: where the stores are.
        lanes: as for `Act.run`.
        concurrency: as for `Act.run`.
        grace: as for `Act.run`.
        look_every: how many seconds pass between two looks for stores that are new or gone.
    """

    def __init__(
        self,
        make: Make,
        pattern: str,
        lanes: Sequence[str] | None,
        concurrency: int,
        grace: float,
        look_every: float,
    ) -> None:
        self._make = make
        self._pattern = pattern
        self._options = (lanes, concurrency, grace)
        self._look_every_s = look_every
        self._tenants: dict[str, Tenant] = {}
        self._stopping = False
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def run(self) -> None:
        """Work until `stop`."""
        while not self._stopping:
            self._look()
            select.select([self._reading], [], [], self._look_every_s)
        for each in self._tenants.values():
            each.stop()
        for each in self._tenants.values():
            each.thread.join()

    def stop(self) -> None:
        """End gracefully. Takes no lock, so that a signal handler may call it."""
        self._stopping = True
        with suppress(BlockingIOError):
            os.write(self._writing, b"\0")

    def _look(self) -> None:
        there = set(stores_at(self._pattern))
        for path, tenant in list(self._tenants.items()):
            if path not in there:
                tenant.stop()
            if not tenant.thread.is_alive() and (path not in there or time.monotonic() >= tenant.again_at):
                del self._tenants[path]
                self._begin(tenant, there)
        for path in sorted(there - self._tenants.keys()):
            self._tenants[path] = Tenant(self._make, path, self._options, 0)

    def _begin(self, ended: "Tenant", there: set[str]) -> None:
        if ended.path in there and not self._stopping:
            self._tenants[ended.path] = Tenant(self._make, ended.path, self._options, ended.failures)


class Tenant:
    """One store at work, in a thread of its own."""

    def __init__(self, make: Make, path: str, options: tuple[Sequence[str] | None, int, float], failures: int) -> None:
        self.path: str = path
        self.failures: int = failures
        self.again_at: float = 0.0
        self._make = make
        self._options = options
        self._stopping = False
        self._worker: Worker | None = None
        self.thread: threading.Thread = threading.Thread(target=self._run, name=f"act-fast {path}", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Let it end gracefully."""
        self._stopping = True
        if self._worker is not None:
            self._worker.stop()

    def _run(self) -> None:
        began = time.monotonic()
        try:
            with _made(self._make, self.path) as app:
                self._worker = app._worker(Host(app), *self._options)
                if not self._stopping:
                    log.info("%s: at work on its reactions", self.path)
                    self._worker.run()
        except Exception as error:
            self.failures = 1 if time.monotonic() - began > _AGAIN.longest else self.failures + 1
            seconds = _AGAIN.wait(self.failures)
            self.again_at = time.monotonic() + seconds
            known = isinstance(error, ActError | OSError)
            log.error(
                "%s: its worker has ended; restarting in %.1f s: %s",
                self.path,
                seconds,
                error,
                exc_info=None if known else error,
            )


def check(make: Make, pattern: str) -> Iterator[Act]:
    """The app of each store that is there, opened one after the other."""
    for path in stores_at(pattern):
        with _made(make, path) as app:
            yield app


def _made(make: Make, path: str) -> Act:
    """The app of a store.

    Raises:
        ValidationError: what was made is none.
    """
    app = make(path)
    if not isinstance(app, Act | AsyncAct):
        raise ValidationError(f"the app of {path} is {type(app).__name__}; the function must return an Act")
    return app.sync if isinstance(app, AsyncAct) else app
