"""Stores that are not open: restored into, and verified where they lie."""

import os

from act_fast._checks import arguments
from act_fast._core import Restoring
from act_fast._core import verify_path as verify_in_core
from act_fast._rows import Progress
from act_fast.stores.log.from_core import verify_report
from act_fast.stores.log.moved import forget_move
from act_fast.stores.log.restore import check_source, restore_into
from act_fast.stores.values import Restored, VerifyReport

__all__ = ["restore_path", "verify_path"]


def restore_path(
    path: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    replace: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """What `LogStore.restore` does, for a store that is not open, or does not exist yet.

    If there is none, it is created; it is there completely or not at all.
    """
    target, found = arguments.directory(path), check_source(source)
    replace = arguments.flag("replace", replace)
    if arguments.flag("dry_run", dry_run):
        return restore_into(Restoring.rehearsal, found, progress)
    restoring = Restoring.begin(target, replace)
    restored = restore_into(lambda: restoring, found, progress)
    forget_move(target)  # that was another log
    return restored


def verify_path(path: str | os.PathLike[str], *, progress: Progress | None = None) -> VerifyReport:
    """What `LogStore.verify` does, without opening the store, so it works even if the store is too damaged to open."""
    return verify_report(verify_in_core(arguments.directory(path), progress))
