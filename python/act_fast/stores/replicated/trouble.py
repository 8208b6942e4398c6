"""Why nothing is applied to a replica, told to all processes of the machine by the one that applies."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from act_fast.errors import EngineAwayError, EngineRefusedError, StoreCorruptError, StoreError, StoreFullError

__all__ = ["SharedTrouble"]

_FILE: Final = "applying"
_BYTES: Final = 4096
_TEXT_MAX: Final = 900
_KINDS: Final[dict[str, type[StoreError]]] = {
    kind.__name__: kind for kind in (EngineAwayError, EngineRefusedError, StoreCorruptError, StoreFullError)
}


class _Said(msgspec.Struct):
    """What the file holds, followed by zeros.

    Attributes:
        process: the one that applies.
        kind: the name of the error's class; empty when all is well.
        text: what it says.
    """

    process: int
    kind: str = ""
    text: str = ""


class SharedTrouble:
    """A file of one page, which has its room from the beginning: a full disk can be told, too.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        with suppress(OSError), open(self._path, "ab") as file:
            if file.tell() < _BYTES:
                file.write(bytes(_BYTES - file.tell()))

    def say(self, trouble: Exception | None) -> None:
        """Tell that this process applies, and what is wrong."""
        said = _Said(os.getpid())
        if trouble is not None:
            kind = next((name for name, each in _KINDS.items() if isinstance(trouble, each)), "StoreError")
            said = _Said(os.getpid(), kind, str(trouble)[:_TEXT_MAX])
        with suppress(OSError), open(self._path, "r+b", buffering=0) as file:
            file.write(msgspec.json.encode(said)[:_BYTES].ljust(_BYTES, b"\0"))

    def heard(self) -> StoreError | None:
        """What the process that applies has told; None when all is well, or nothing is known."""
        said = self._read()
        if said is None or not said.kind:
            return None
        text = f"{said.text} (told by process {said.process}, which applies)"
        return _KINDS.get(said.kind, StoreError)(text)

    def process(self) -> int | None:
        """The process that applies, as far as is known."""
        said = self._read()
        return None if said is None else said.process

    def _read(self) -> _Said | None:
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._path.read_bytes().rstrip(b"\0"), type=_Said)
        return None
