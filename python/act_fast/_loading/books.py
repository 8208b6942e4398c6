"""Where the books of a stream were closed: the events that hold its state, and from which folding goes on."""

from collections.abc import Iterator

from act_fast._events.committed import Committed
from act_fast._events.gone import BOOKS, GONE, RESTARTED, REWRITINGS, held_state
from act_fast.errors import PrunedError
from act_fast.stores.port import Store

__all__ = ["beginning", "closed_books", "held_above"]


def held_above(store: Store, stream: str, version: int) -> Iterator[Committed[bytes]]:
    """The events of a stream above a version that hold its state, in order."""
    for each in store.query(stream=stream, names=[*BOOKS]):
        if each.version > version and each.data not in GONE and held_state(each.data) is not None:
            yield each


def beginning(store: Store, stream: str, pruned: int, end: int | None = None, cut: int | None = None) -> int:
    """The version that folding begins at, instead of at one that was pruned.

    Args:
        store: where the stream is.
        stream: its name.
        pruned: the version of an event that was pruned.
        end: the state just before this version is wanted; None: that of now.
        cut: the log as it was when this position was its last; None: as it is.

    Raises:
        PrunedError: nothing below the end says what the state was.
    """
    first = last = 0
    for each in held_above(store, stream, pruned):
        first = first or each.version
        if (end is None or each.version < end) and (cut is None or each.position <= cut):
            last = each.version
    if not last:
        raise PrunedError(stream, pruned, first)
    return last


def closed_books(store: Store) -> frozenset[str]:
    """The streams whose states only the events that hold them can tell."""
    # What was closed for good folds to the state that is held there, unless something was pruned or redacted.
    telling = [RESTARTED] if next(store.query(stream=REWRITINGS, limit=1), None) is None else BOOKS
    return frozenset(each.stream for each in store.query(names=[*telling]) if held_state(each.data) is not None)
