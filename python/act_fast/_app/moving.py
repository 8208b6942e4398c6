"""Moving a store to another address while programs keep using it."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from act_fast._app.address import Address, is_store, open_address
from act_fast._checks import arguments
from act_fast._rows import Progress
from act_fast.errors import StoreLockedError, ValidationError
from act_fast.stores.capabilities import transfer_of
from act_fast.stores.copy import Copy
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import offers_reactions, reactions_of
from act_fast.stores.values import Moved

__all__ = ["move", "move_telling"]

_NEARLY_EVENTS: Final = 1000
"""So few events are copied and compared in no time: with no more than that to do, others may be kept waiting."""

_LOOK_SECONDS: Final = 0.2


def move(
    source: Address,
    target: Address,
    /,
    *,
    hand_over: bool = True,
    restart_reactions: bool = False,
    patience: float | None = None,
    progress: Progress | None = None,
) -> Moved:
    """Move everything a store holds to another address.

    That is events with their positions, versions, times and meta; snapshots; and the progress of reactions.

    Programs may keep appending to the source meanwhile. Once everything is copied and has been compared event by event,
    the rest is handed over while appends are held back. From then on the source takes no more events, and says where
    they are now. A database makes appends wait for that moment; a log is handed over once every other program has
    closed it.

    If a move was interrupted or killed, run it again and it resumes. The way back is a move too: to the store that you
    moved away from, whose events are still there.

    Args:
        source: an existing store: its path, its address, or the store itself.
        target: the path or the address of an empty store, created if it does not exist.
        hand_over: whether the source stops taking events. If not, the target is a copy, which another move brings up to
            date.
        restart_reactions: let reactions start again from the first event at the target, instead of continuing where
            they are. Required if the source has reactions and the target cannot keep their progress.
        patience: how many seconds to wait for other programs to close the source; None waits as long as it takes.
        progress: called now and then with (positions done, positions in all): each is copied, and then compared.

    Raises:
        MoveError: what is in the target does not match the source; the source stays in use.
        StoreLockedError: other programs still have the source open after `patience`.
        ValidationError: the target holds something else, or cannot keep the progress of reactions.
        StoreError: one of them cannot be opened, read or written.
    """
    return move_telling(
        source,
        target,
        hand_over=arguments.flag("hand_over", hand_over),
        restart_reactions=arguments.flag("restart_reactions", restart_reactions),
        patience=None if patience is None else arguments.milliseconds("patience", patience) / 1000,
        progress=progress,
        waiting=lambda locked: None,
    )


def move_telling(
    source: Address,
    target: Address,
    *,
    hand_over: bool,
    restart_reactions: bool,
    patience: float | None,
    progress: Progress | None,
    waiting: Callable[[StoreLockedError], object],
) -> Moved:
    """The same; `waiting` is told each time others have the source open."""
    with ExitStack() as stack:
        opened = _source(source, stack)
        into = _target(target, stack)
        if _place(opened) == _place(into) != "memory:":
            raise ValidationError("source and target are the same store")
        here, there = transfer_of(opened), transfer_of(into)
        if here.store_id == there.store_id:  # by another name; its row would be locked, and waited forever after
            raise ValidationError(
                "source and target are the same store, or one was made from a backup of the other; name an empty target"
            )
        if hand_over:
            here.check_hands_over()
        if hand_over and not restart_reactions and not offers_reactions(into):
            _check_reactions(opened)
        copy = Copy(here, there, progress)
        while copy.go_on() > _NEARLY_EVENTS:
            pass
        copy.compare()
        while copy.go_on() > _NEARLY_EVENTS:
            copy.compare()
        end = None if patience is None else time.monotonic() + patience
        while hand_over:
            try:
                with here.handing_over(_place(into)):
                    copy.go_on()
                    copy.compare()
                    if offers_reactions(into):
                        there.take_reactions((not restart_reactions and here.reactions()) or b"")
                break
            except StoreLockedError as locked:
                if end is not None and time.monotonic() > end:
                    raise
                waiting(locked)
            time.sleep(_LOOK_SECONDS)
            copy.go_on()
        copy.compare()
        snapshots = copy.snapshots()
        if hand_over:
            there.taken_over()
        return Moved(_place(opened), _place(into), copy.position, snapshots, copy.digest, hand_over)


def _source(address: Address, stack: ExitStack) -> Store:
    if isinstance(address, str | os.PathLike):
        if isinstance(address, str) and "://" in address:
            return stack.enter_context(open_address(address, create=False))
        return stack.enter_context(LogStore(address, read_only=True, create=False))
    return _given(address)


def _target(address: Address, stack: ExitStack) -> Store:
    if isinstance(address, str | os.PathLike):
        if isinstance(address, str) and "://" in address:
            return stack.enter_context(open_address(address, create=True))
        return stack.enter_context(LogStore.copied_into(address))
    return _given(address)


def _given(store: Store) -> Store:
    if not is_store(store):
        raise ValidationError(f"{type(store).__name__} is not a store; pass a path, an address or a store")
    return store


def _place(store: Store) -> str:
    """Where a store is, without any password."""
    return str(getattr(store, "path", "")) or type(store).__name__


def _check_reactions(store: Store) -> None:
    if not offers_reactions(store):
        return
    with ExitStack() as stack:
        if isinstance(store, LogStore) and store.path != "memory:":
            # It was opened for reading only, and reactions are not.
            store = stack.enter_context(LogStore.copied_into(store.path, durability=None, create=False))
        reactions = reactions_of(store)
        stack.callback(reactions.close)
        found = reactions.targets(limit=1)
    if found:
        raise ValidationError(
            "the source has reactions, but the target cannot keep their progress, so they would one day start again"
            " from the first event. If that is what you want, use restart_reactions=True (--restart-reactions)"
        )
