"""From the address of a replicated store to its parts: which engine, and where the replica is."""

import hashlib
import os
from pathlib import Path
from typing import Final, NamedTuple

from act_fast.errors import ValidationError
from act_fast.stores.ordered.address import parts_of
from act_fast.stores.ordered.schemes import split_address

__all__ = ["Place", "place_of"]

_OWN: Final = ("replica", "checkpoints")


class Place(NamedTuple):
    """Where a replicated store is.

    Attributes:
        engine: the address of the ordered log, without what is ours.
        replica: the folder of the replica on this machine.
        checkpoints: the folder of checkpoints, or an address in object storage; None where the address names none.
    """

    engine: str
    replica: Path
    checkpoints: str | None


def place_of(address: str) -> Place:
    """Read an address: `nats://host/bank?replica=/var/lib/bank.act&checkpoints=/mnt/checkpoints`.

    Where it names no folder, the replica is in `ACT_FAST_REPLICAS`, or else among the data of the user who runs this
    program, under a name that is made of the engine's address.

    Raises:
        ValidationError: it cannot be read. The message repeats nothing of it that may be a password.
    """
    engine, options = split_address(address)
    unknown = sorted(options.keys() - set(_OWN))
    if unknown:
        raise ValidationError(f"the address has no option {' or '.join(unknown)}; ours are {' and '.join(_OWN)}")
    if not all(options.values()):
        raise ValidationError("replica= and checkpoints= in an address name folders")
    replica = Path(options["replica"]) if "replica" in options else _folder() / _name(engine)
    return Place(engine, replica, options.get("checkpoints"))


def _folder() -> Path:
    chosen = os.environ.get("ACT_FAST_REPLICAS")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "act-fast"


def _name(engine: str) -> str:
    parts = parts_of(engine)
    told = hashlib.sha256(str(parts).encode()).hexdigest()[:8]
    last = "".join(each if each.isalnum() or each in "-_" else "-" for each in parts.path.rsplit("/", 1)[-1])
    return f"{last or 'store'}-{told}.act"
