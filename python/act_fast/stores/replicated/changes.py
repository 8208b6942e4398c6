"""Changes of the lines of reactions, as records hold them."""

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Self

from act_fast.errors import StoreError

__all__ = ["UNSEEN_MAX", "Change", "ChangePart", "addresses", "packed", "unpacked"]

_HEAD: Final = struct.Struct("<QqQ")
_PART: Final = struct.Struct("<qII")
_ADDRESS: Final = struct.Struct(">Q")
_ADDRESSES: Final = struct.Struct(">Q64x")
UNSEEN_MAX: Final = 1_000
"""So many changes of others a change may not have seen. All replicas have at least so many."""

_LINE_BYTES: Final = 64
_PACKED_BYTES: Final = _ADDRESS.size + _LINE_BYTES


class Change(NamedTuple):
    """Lines that one section has written.

    Attributes:
        number: one more than that of the last change that its section has seen.
        mark: tells it from another change of this number.
        generation: that of the member that has made it; 0 where it is none.
        lines: packed: the address of each in 8 bytes, the highest first, and its 64 bytes.
    """

    number: int
    mark: int
    generation: int
    lines: bytes

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The change that is the body of a record.

        Raises:
            StoreError: it is none.
        """
        if len(body) < _HEAD.size or (len(body) - _HEAD.size) % _PACKED_BYTES:
            raise StoreError("a record of reactions does not hold whole lines")
        number, mark, generation = _HEAD.unpack_from(body)
        return cls(number, mark, generation, body[_HEAD.size :])

    def body(self) -> bytes:
        """The body of its record."""
        return _HEAD.pack(self.number, self.mark, self.generation) + self.lines


class ChangePart(NamedTuple):
    """A part of the body of a change that is too large for one record. The change counts once all parts are there.

    Attributes:
        mark: of the change.
        at: which part this is, from 0.
        parts: how many there are.
        piece: of the body.
    """

    mark: int
    at: int
    parts: int
    piece: bytes

    @classmethod
    def of(cls, change: Change, bytes_max: int) -> list[Self]:
        """The parts of a change, whose records have at most so many bytes besides their heads."""
        body, size = change.body(), bytes_max - _PART.size
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        return [cls(change.mark, number, len(pieces), piece) for number, piece in enumerate(pieces)]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The part that is the body of a record.

        Raises:
            StoreError: it is none.
        """
        if len(body) < _PART.size:
            raise StoreError("a record that should be a part of a change is too short")
        mark, at, parts = _PART.unpack_from(body)
        if at >= parts:
            raise StoreError(f"a record is part {at + 1} of {parts} of a change")
        return cls(mark, at, parts, body[_PART.size :])

    def body(self) -> bytes:
        """The body of its record."""
        return _PART.pack(self.mark, self.at, self.parts) + self.piece


def packed(lines: Iterable[tuple[int, bytes]]) -> bytes:
    """Lines, each an address and a content, as one change holds them."""
    return b"".join(_ADDRESS.pack(address) + line for address, line in lines)


def addresses(lines: bytes) -> Iterator[int]:
    """The addresses of packed lines."""
    return (address for (address,) in _ADDRESSES.iter_unpack(lines))


def unpacked(lines: bytes) -> Iterator[tuple[int, bytes]]:
    """Packed lines, one by one: address and content."""
    for at in range(0, len(lines), _PACKED_BYTES):
        (address,) = _ADDRESS.unpack_from(lines, at)
        yield address, lines[at + _ADDRESS.size : at + _PACKED_BYTES]
