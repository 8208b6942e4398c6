"""What of a store is hot, compressed, archived, pruned, redacted and sealed."""

from datetime import datetime
from typing import Final

import msgspec

from act_fast._app.forgetting import SubjectForgotten
from act_fast._events.gone import REWRITINGS, Rewritten, rewritten
from act_fast._model.registry import Registry
from act_fast.stores.log.local import LocalLog
from act_fast.stores.port import Store
from act_fast.stores.values import Shares, StoreStats

__all__ = ["Kept", "kept", "last_created"]

_FORGOTTEN: Final[str] = SubjectForgotten.__stored_name__


class Kept(msgspec.Struct, frozen=True):
    """How a store keeps its events. Finding out does not read the archive.

    Attributes:
        shares: how much of the log is hot, compressed and archived; None of a store that is no log on this machine.
        archive: where the archived part is; empty if there is none.
        pruned: how many events were pruned.
        pruned_bytes: how many bytes of data they had.
        redacted: how many events were redacted.
        sealed: how many events are of classes with sealed fields; None without an app, which knows the classes.
        forgotten: how many subjects were forgotten.
    """

    shares: Shares | None
    archive: str
    pruned: int
    pruned_bytes: int
    redacted: int
    sealed: int | None
    forgotten: int


def kept(store: Store, stats: StoreStats, registry: Registry | None = None) -> Kept:
    """How a store keeps its events: asked in proportion to the files of its log, however many events there are.

    Args:
        store: the store.
        stats: how much it holds.
        registry: of an app, whose classes say what is sealed.
    """
    names = store.names()
    told = stats if isinstance(store, LocalLog) else _rewritten(store)
    return Kept(
        stats.shares,
        stats.archive,
        told.pruned,
        told.pruned_bytes,
        told.redacted,
        None if registry is None else _sealed(registry, names),
        names.get(_FORGOTTEN, 0),
    )


def last_created(store: Store, stats: StoreStats) -> datetime | None:
    """When the last event was committed; None if there is none."""
    if isinstance(store, LocalLog):
        return stats.last_created
    last = next(iter(store.query(limit=1, backwards=True)), None)
    return None if last is None else last.created


def _rewritten(store: Store) -> Rewritten:
    """What a store says that was moved here after it was rewritten."""
    return rewritten((each.name, each.data) for each in store.load(REWRITINGS))


def _sealed(registry: Registry, names: dict[str, int]) -> int:
    return sum(names.get(name, 0) for name in registry.codec.personal)
