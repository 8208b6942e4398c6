"""Restoring into the store at an address: a log is replaced as a whole, a database is filled in one transaction."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from act_fast._app.address import open_address
from act_fast._rows import Progress
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import transfer_of
from act_fast.stores.log.offline import restore_path
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store
from act_fast.stores.values import Restored

__all__ = ["restore_address", "restore_store"]


def restore_address(
    address: str,
    source: str | os.PathLike[str],
    *,
    replace: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Restore into the store at a path or a URL, which is made if it is not there."""
    if "://" not in address:
        return restore_path(address, source, replace=replace, dry_run=dry_run, progress=progress)
    with open_address(address, create=True) as store:
        return restore_store(store, source, replace=replace, dry_run=dry_run, progress=progress)


def restore_store(
    store: Store, source: str | os.PathLike[str], *, replace: bool, dry_run: bool, progress: Progress | None
) -> Restored:
    """Put the events of an export into an open store: see `Act.restore`."""
    if isinstance(store, LogStore):
        return store.restore(source, replace=replace, dry_run=dry_run, progress=progress)
    transfer = transfer_of(store)
    head, _ = transfer.standing(0)
    if head:
        raise ValidationError(
            f"{store!r} holds {head} events, but an export can only be restored into an empty store, as nothing there"
            " is replaced: name an empty one, such as another ?schema="
        )
    with TemporaryDirectory(prefix="act-fast-restore-") as folder:
        # It is checked as a log, and its commits are copied from there.
        path = Path(folder) / "restored.act"
        restored = restore_path(path, source, dry_run=dry_run, progress=progress)
        if not dry_run:
            with LogStore(path, durability="os") as log, transfer.taking() as take:
                for page in transfer_of(log).commits(0, log.head):
                    take(page)
    return restored
