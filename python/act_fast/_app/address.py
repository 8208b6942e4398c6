"""From what a person calls a store to the store itself."""

import os
from typing import TypeAlias

from act_fast.errors import ValidationError
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store

__all__ = ["Address", "open_store"]

Address: TypeAlias = Store | str | os.PathLike[str]
"""A store, or where one is: a directory, or `memory:`."""


def open_store(address: Address) -> tuple[Store, bool]:
    """The store at an address, and whether it was opened just now and so must be closed by who asked.

    Raises:
        ValidationError: the address is of a kind that is not known.
        StoreError: the store cannot be opened.
    """
    if not isinstance(address, str | os.PathLike):
        if not callable(getattr(address, "append", None)) or not callable(getattr(address, "load", None)):
            called = (
                address.__qualname__ if isinstance(address, type) else f"an instance of {type(address).__qualname__}"
            )
            raise ValidationError(
                f"{called} is no store; the app takes a store first (a path, `memory:` or a Store), then what it is"
                ' made of: `Act("bank.act", Account)`'
            )
        return address, False
    if address == "memory:":
        return LogStore.memory(), True
    if isinstance(address, str) and "://" in address:
        scheme = address.partition("://")[0]
        raise ValidationError(f"there is no store for {scheme}:// addresses; use a directory's path, or `memory:`")
    return LogStore(address), True
