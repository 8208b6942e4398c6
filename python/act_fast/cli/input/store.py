"""Opening the store that a command was given, to look at it and change nothing."""

from act_fast.stores.log.store import LogStore

__all__ = ["open_store"]


def open_store(path: str) -> LogStore:
    """The store at `path`, which must be there, for reading only."""
    return LogStore(path, read_only=True, create=False)
