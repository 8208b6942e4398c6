"""Opening the store that a command was given, to look at it and change nothing."""

from act_fast._app.address import check_folder, open_address
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store

__all__ = ["open_log", "open_store"]


def open_log(path: str) -> LogStore:
    """The log at `path`, which must be there, for reading only."""
    check_folder(path)
    return LogStore(path, read_only=True, create=False)


def open_store(path: str) -> Store:
    """The store at a path or an address, which must be there. Nothing of it will be changed."""
    return open_address(path, create=False) if "://" in path else open_log(path)
