"""From the address of a store to the store itself."""

import os
import re
from importlib import import_module
from typing import Any, Final, TypeAlias

from act_fast._checks.extras import missing
from act_fast.errors import ValidationError
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store

__all__ = ["Address", "check_folder", "is_store", "open_address", "open_store", "upgrade_address"]

Address: TypeAlias = Store | str | os.PathLike[str]
"""A store, or its address: a directory, `memory:`, `postgresql://host/database`, `mysql://host/database`, or an ordered
log such as `nats://host/name`."""

_POSTGRES: Final = ("act_fast.stores.postgres.store", "PostgresStore", "postgres")
_MYSQL: Final = ("act_fast.stores.mysql.store", "MySqlStore", "mysql")
_REPLICATED: Final = ("act_fast.stores.replicated.store", "ReplicatedStore", "")
_SCHEMES: Final = {"postgresql": _POSTGRES, "postgres": _POSTGRES, "mysql": _MYSQL, "mariadb": _MYSQL}
"""The module and the name of what opens a scheme's addresses, and the extra that brings its client."""

_CUT: Final = re.compile("([a-z]+)(?::?//|:/)")


def is_store(given: object) -> bool:
    """Whether something is a store, and not the address of one."""
    return callable(getattr(given, "append", None)) and callable(getattr(given, "load", None))


def open_store(address: Address) -> tuple[Store, bool]:
    """The store at an address, and whether it was opened just now and so must be closed by who asked.

    Raises:
        ValidationError: the address is of a kind that is not known.
        StoreError: the store cannot be opened.
    """
    if not isinstance(address, str | os.PathLike):
        if not is_store(address):
            called = (
                address.__qualname__ if isinstance(address, type) else f"an instance of {type(address).__qualname__}"
            )
            raise ValidationError(
                f"{called} is not a store; the app takes a store first (a path, `memory:` or a Store), then its"
                ' components: `Act("bank.act", Account)`'
            )
        return address, False
    if address == "memory:":
        return LogStore.memory(), True
    if isinstance(address, str) and "://" in address:
        return open_address(address, create=True), True
    check_folder(address)
    return LogStore(address), True


def check_folder(address: str | os.PathLike[str]) -> None:
    """Refuse an address in which a colon or a slash is missing: it would be taken for a folder.

    Raises:
        ValidationError: it is one. The message does not repeat it, since it may carry a password.
    """
    found = _CUT.match(address) if isinstance(address, str) else None
    if found is not None and found[1] in _SCHEMES:
        raise ValidationError(
            f"{found[0]}… is not an address; write {found[1]}://host/database, or ./{found[1]}/… if it is a folder"
        )


def open_address(address: str, *, create: bool) -> Store:
    """The store at `scheme://…`. What opens it is imported only now, and needs its own client.

    Raises:
        ValidationError: the scheme is not known, or the address cannot be read.
        StoreError: the store cannot be opened.
    """
    store: Store = _opening(address)(address, create=create)
    return store


def upgrade_address(address: str) -> tuple[int, int]:
    """Bring the tables of the store at `scheme://…` to the format of this version; the format before and now.

    Raises:
        ValidationError: the scheme is not known, or the address cannot be read.
        StoreError: the store cannot be upgraded.
    """
    found: tuple[int, int] = _opening(address).upgrade(address)
    return found


def _opening(address: str) -> Any:
    """The class of the store at an address."""
    from act_fast.stores.ordered.schemes import ORDERED_SCHEMES  # which few need

    scheme = address.partition("://")[0]
    known = _SCHEMES.get(scheme)
    if known is None and scheme not in ORDERED_SCHEMES:
        raise ValidationError(
            f"there is no store for {scheme}:// addresses; use a directory's path, `memory:`,"
            " postgresql://host/database, mysql://host/database, or an ordered log: "
            + ", ".join(f"{each}://" for each in sorted(ORDERED_SCHEMES))
        )
    module, name, extra = known or _REPLICATED
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise missing(f"a store at {scheme}://", str(error.name), extra) from error
