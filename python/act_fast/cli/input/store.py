"""Opening the store that a command was given, to look at it and change nothing."""

import os
import re
from typing import Final

from act_fast._app.address import check_folder, open_address
from act_fast.errors import ValidationError
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store

__all__ = ["check_path", "open_log", "open_store", "open_to_rewrite"]

_APP: Final = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


def check_path(path: str) -> None:
    """Refuse a path that can only be meant for an address, or for an app. Addresses are not looked at.

    Raises:
        ValidationError: it is one of these.
    """
    if "://" in path:
        return
    check_folder(path)
    if _APP.fullmatch(path) and not os.path.exists(path):
        raise ValidationError(
            f"there is no store at {path}; this command takes the store's directory or its address, not an app"
        )


def open_log(path: str) -> LogStore:
    """The log at `path`, which must be there, for reading only."""
    check_path(path)
    return LogStore(path, read_only=True, create=False)


def open_to_rewrite(path: str, verb: str, *, only_look: bool) -> LogStore:
    """The log at `path`, which must be there, to be rewritten; for reading only if that is only looked into.

    Raises:
        ValidationError: it is an address: machines keep copies of what is there, which this would not reach.
    """
    if "://" in path:
        raise ValidationError(
            f"{verb} takes a store's directory: of what is at an address, machines keep copies that it would not reach"
        )
    if only_look:
        return open_log(path)
    check_path(path)
    return LogStore(path, durability=None, create=False)


def open_store(path: str) -> Store:
    """The store at a path or an address, which must be there. Nothing of it will be changed."""
    return open_address(path, create=False) if "://" in path else open_log(path)
