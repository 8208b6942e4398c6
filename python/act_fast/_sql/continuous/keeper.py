"""A view in this process: its groups, and moving them on with the log.

Each process keeps its own, from what was written down last. A reader first moves it on to the position that it asks
about; only positions before that are counted again, from what was written down if that is early enough.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from act_fast._core import Groups
from act_fast._runtime.forks import tell_in_child
from act_fast._sql.continuous.plan import Plan
from act_fast._sql.continuous.stored import Stored, files_of
from act_fast.errors import ActError, StoreClosedError
from act_fast.stores.capabilities import LogMark, columns_of, log_mark_of, stay_with, store_id_of
from act_fast.stores.port import Store

__all__ = ["Keeper"]

_STRIDE: Final = 1 << 22
"""So many positions are read before a view may be written down, or given up."""

_WRITE_EVENTS: Final = 100_000
"""From so many positions on, reading them again costs more than writing down what they came to."""

_LEAVE_S: Final = 60.0


class _Kept:
    """The groups of one plan on one log, as of a position."""

    def __init__(self, keeper: "Keeper", plan: Plan, store: Store, groups: Groups, position: int) -> None:
        self.plan = plan
        self.groups = groups
        self.position = position
        self.written = position
        self._keeper = keeper
        self._store_id = store_id_of(store)
        self._log: LogMark | None = log_mark_of(store)
        self._left = False
        self._whole = True
        stay_with(store, self)

    def is_of(self, plan: Plan, store: Store) -> bool:
        """Whether this is what is kept for a plan, on the log that a store has now."""
        replaced = self._log is not None and self._log.replaced
        same = plan.mark == self.plan.mark and store_id_of(store) == self._store_id
        return same and self._whole and not replaced and not self._left

    def move_on(self, store: Store, cut: int) -> Iterator[None]:
        """Take in what is between its position and a cut, bit by bit."""
        make = self.plan.source.scans(store)
        while self.position < cut:
            if self._left:
                raise StoreClosedError("the log is about to go; open it again")
            upto = min(cut, self.position + _STRIDE)
            self._whole = False  # who is interrupted here cannot tell whether the events are in
            try:
                self.groups.take(make(self.position, upto).only(self.plan.columns))
            except ActError:  # none of them is
                self._whole = True
                raise
            self.position = upto
            self._whole = True
            yield

    def leave(self) -> None:
        """Write nothing more: the log is about to go. Comes back when nothing is being written."""
        self._left = True
        self._keeper.wait()

    @property
    def pays(self) -> bool:
        """Whether to write it down."""
        return not self._left and self.position - self.written >= max(_WRITE_EVENTS, 2 * len(self.groups))


class Keeper:
    """Keeps one view.

    Args:
        name: what the view is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.forked()
        tell_in_child(self)

    def forked(self) -> None:
        self._lock = threading.RLock()
        self._kept: _Kept | None = None

    def position_of(self, query: str) -> int:
        """The position that it was moved on to last for a question in this process; 0 when it was not yet."""
        kept = self._kept
        return kept.position if kept is not None and kept.plan.query == query else 0

    def wait(self) -> None:
        """Wait until nobody reads or writes."""
        if self._lock.acquire(timeout=_LEAVE_S):
            self._lock.release()

    @contextmanager
    def at(self, plan: Plan, store: Store, cut: int) -> Iterator[Groups]:
        """The groups as of a cut, which nobody changes as long as this lasts."""
        with self._lock:
            kept = self._kept
            if kept is None or not kept.is_of(plan, store):
                kept = self._kept = self._begun(plan, store, columns_of(store).head)
            kept.plan = plan  # of the same mark, perhaps for the same question in other words
            if kept.position > cut:
                kept = self._begun(plan, store, cut)
                for _ in kept.move_on(store, cut):
                    pass  # what is kept is further on
            else:
                for _ in kept.move_on(store, cut):
                    self._write(kept, store)
            yield kept.groups

    def _begun(self, plan: Plan, store: Store, most: int) -> _Kept:
        """What was written down, if that is as of no more than a position; else nothing yet."""
        groups = Groups(plan.question, plan.source.scans(store)(0, 0).only(plan.columns))
        files = files_of(store, self.name, plan.mark)
        stored = None if files is None else files.read(store, most)
        loaded = None if stored is None else _loaded(groups, stored)
        if stored is None or loaded is None:
            return _Kept(self, plan, store, groups, 0)
        return _Kept(self, plan, store, loaded, stored.position)

    def _write(self, kept: _Kept, store: Store) -> None:
        files = files_of(store, self.name, kept.plan.mark) if kept.pays else None
        if files is not None:
            files.write(store, Stored(kept.position, kept.groups.dump()))
            kept.written = kept.position


def _loaded(groups: Groups, stored: Stored) -> Groups | None:
    """What was written down; None where it is none of these groups, whatever its checksum says."""
    loaded = groups.load(stored.groups)
    try:
        if loaded is not None:
            loaded.__arrow_c_stream__()
    except ActError:  # values of other types
        return None
    return loaded
