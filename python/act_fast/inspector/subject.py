"""What is inspected: a store, what it keeps of reactions, and the app where there is one."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from act_fast._app.act import Act
from act_fast._app.address import check_folder, is_store, open_address
from act_fast._app.async_act import AsyncAct
from act_fast._events.correlation import new_correlation
from act_fast._events.meta import ActionCause, Actor, Causation, Meta
from act_fast._timers.timer import Timer, cancel_timer, stream_of
from act_fast.errors import ActError, ValidationError
from act_fast.inspector.audit import Audit
from act_fast.inspector.questions import Questions
from act_fast.inspector.tally import Tallies
from act_fast.monitoring.why import told_address
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import ReactionPort, offers_reactions, reactions_of

if TYPE_CHECKING:
    from act_fast.monitoring.overview import Source

__all__ = ["Subject", "open_subject"]

_NEVER: Final = "no program with reactions has ever worked on this store"
_READING: Final = frozenset(
    {"cursors", "expect_moves", "expect_news", "heads", "progress", "skipped", "tally", "targets", "wait_moves"}
)
"""The verbs of reactions that change nothing."""


class Subject:
    """A store as the inspector sees it. Any number of threads may use it.

    Attributes:
        store: where the events are.
        app: the app, where one was named.
        address: what commands call the store, without a password.
        audit: what was done by hand.
        tallies: all targets added up.
        questions: SQL.
        missing: why there is nothing of reactions, where there is nothing.
    """

    def __init__(
        self, store: Store, app: Act | None, address: str, reactions: Callable[[], ReactionPort | None], audit: Audit
    ) -> None:
        self.store = store
        self.app = app
        self.address = address
        self.audit = audit
        self.tallies: Tallies = Tallies()
        self.questions: Questions = Questions(store, app, self.port)
        self._open_reactions = reactions
        self._port: ReactionPort | None = None
        self._lock = threading.Lock()
        self.missing: str = _NEVER

    @property
    def name(self) -> str:
        """What to call it in a heading."""
        return os.path.basename(self.address.rstrip("/")) or self.address

    @property
    def folder(self) -> Path | None:
        """The store's directory, where it has one."""
        path = getattr(self.store, "path", None)
        return Path(path) if isinstance(path, str) and path != "memory:" and os.path.isdir(path) else None

    def port(self) -> ReactionPort | None:
        """What the store keeps of reactions; None as long as there is nothing."""
        with self._lock:
            if self._port is None:
                try:
                    self._port, self.missing = self._open_reactions(), _NEVER
                except ActError as error:  # of a replica, or in a directory where this user may not write
                    self.missing = str(error)
            return self._port

    def reactions(self) -> ReactionPort:
        """What the store keeps of reactions.

        Raises:
            ValidationError: it keeps nothing, or nothing yet.
        """
        found = self.port()
        if found is None:
            raise ValidationError(self.missing)
        return found

    def cancel_timer(self, key: str, by: str) -> Timer:
        """Cancel a timer, in a user's name; the timer as it is then."""
        cause = ActionCause("cancel", stream_of(key), Actor(by))
        with self._writing() as store:
            timer = cancel_timer(store, key, lambda: Meta(new_correlation(), Causation(cause)))
        port = self.port()
        if port is not None and timer.status == "cancelled" and timer.due <= datetime.now(UTC):
            with suppress(ValidationError):  # no worker has looked at it yet
                port.unblock([timer.target])
        return timer

    @contextmanager
    def _writing(self) -> Iterator[Store]:
        """The store, opened for writing if it was opened for reading only."""
        store = self.store
        if not isinstance(store, LogStore) or store.path == "memory:" or self.app is not None:
            yield store
            return
        with LogStore(store.path, durability=None, create=False) as writable:
            yield writable


class _Reading:
    """What a store keeps of reactions, to be looked at only."""

    def __init__(self, port: ReactionPort) -> None:
        self._port = port

    def __getattr__(self, verb: str) -> Any:
        if verb not in _READING:
            raise AttributeError(f"this is for looking only; there is no {verb}")
        return getattr(self._port, verb)


def open_subject(source: "Source", *, write: bool, audit: str | os.PathLike[str] | None) -> Subject:
    """Open what is to be inspected; it stays open as long as this process runs.

    Raises:
        ValidationError: it is neither an app nor a store.
        StoreError: the store cannot be opened.
    """
    app: Act | None = None
    if isinstance(source, AsyncAct):
        source = source.sync
    if isinstance(source, Act):
        app, store = source, source.store
        address = getattr(store, "path", "") or type(store).__name__
    elif isinstance(source, str | os.PathLike):
        address = os.fspath(source)
        store = _open(address)
    elif is_store(source):
        store = source
        address = getattr(store, "path", "") or type(store).__name__
    else:
        raise ValidationError(f"{type(source).__name__} cannot be inspected; pass an app, a store or its path")

    def reactions() -> ReactionPort | None:
        found = _reactions(store)
        return found if write or found is None else cast("ReactionPort", _Reading(found))

    file = audit if audit is not None else _audit_file(store)
    return Subject(store, app, told_address(address), reactions, Audit(None if file is None else Path(file)))


def _open(address: str) -> Store:
    if "://" in address:
        return open_address(address, create=False)
    check_folder(address)
    return LogStore(address, read_only=True, create=False)


def _reactions(store: Store) -> ReactionPort | None:
    """What a store keeps of reactions. A log that no reaction has ever run on stays as it is."""
    path = getattr(store, "path", "") if isinstance(store, LogStore) else ""
    if path and path != "memory:":
        if not os.path.isdir(os.path.join(path, "reactions")):
            return None
        try:
            return reactions_of(store)
        except ValidationError:  # the store was opened for reading only; reactions are in files of their own
            return reactions_of(LogStore(path, durability=None, create=False))
    return reactions_of(store) if offers_reactions(store) else None


def _audit_file(store: Store) -> str | None:
    path = getattr(store, "path", None)
    return os.path.join(path, "inspector.log") if isinstance(path, str) and os.path.isdir(path) else None
