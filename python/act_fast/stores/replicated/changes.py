"""Changes of the lines of reactions, as records hold them."""

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Self

from act_fast.errors import StoreCorruptError

__all__ = ["UNSEEN_MAX", "Change", "addresses", "packed", "unpacked"]

_HEAD: Final = struct.Struct("<Qq")
_ADDRESS: Final = struct.Struct(">Q")
UNSEEN_MAX: Final = 1_000
"""So many changes of others a change may not have seen. All replicas have at least so many."""

_LINE_BYTES: Final = 64
_PACKED_BYTES: Final = _ADDRESS.size + _LINE_BYTES


class Change(NamedTuple):
    """Lines that one section has written.

    Attributes:
        number: one more than that of the last change that its section has seen.
        mark: tells it from another change of this number.
        lines: packed: the address of each in 8 bytes, the highest first, and its 64 bytes.
    """

    number: int
    mark: int
    lines: bytes

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The change that is the body of a record.

        Raises:
            StoreCorruptError: it is none.
        """
        if len(body) < _HEAD.size or (len(body) - _HEAD.size) % _PACKED_BYTES:
            raise StoreCorruptError("a record of reactions does not hold whole lines")
        number, mark = _HEAD.unpack_from(body)
        return cls(number, mark, body[_HEAD.size :])

    def body(self) -> bytes:
        """The body of its record."""
        return _HEAD.pack(self.number, self.mark) + self.lines


def packed(lines: Iterable[tuple[int, bytes]]) -> bytes:
    """Lines, each an address and a content, as one change holds them."""
    return b"".join(_ADDRESS.pack(address) + line for address, line in lines)


def addresses(lines: bytes) -> Iterator[int]:
    """The addresses of packed lines."""
    return (_ADDRESS.unpack_from(lines, at)[0] for at in range(0, len(lines), _PACKED_BYTES))


def unpacked(lines: bytes) -> Iterator[tuple[int, bytes]]:
    """Packed lines, one by one: address and content."""
    for at in range(0, len(lines), _PACKED_BYTES):
        (address,) = _ADDRESS.unpack_from(lines, at)
        yield address, lines[at + _ADDRESS.size : at + _PACKED_BYTES]
