"""The lines that reactions are kept in: packed one behind the other in a change, and page by page once it is folded.

A line has an address. A page is the lines whose addresses differ in their last digits alone; one row holds it, under
the address of its first line. An empty line in it is none.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

__all__ = ["Page", "lines_of", "packed", "pages_of", "unpacked"]

Page: TypeAlias = tuple[int, bytes]
"""The address of its first line, and its lines"""

_LINE_BYTES: Final = 64
_PAGE_LINES: Final = 64
_FILE_LINES: Final = 1 << 48
_EMPTY: Final = bytes(_LINE_BYTES)
_PACKED: Final = struct.Struct(f">q{_LINE_BYTES}s")


def packed(lines: Mapping[int, bytes]) -> bytes:
    """Lines, one behind the other, each with its address."""
    return b"".join(_PACKED.pack(address, line) for address, line in lines.items())


def unpacked(lines: bytes) -> Iterator[tuple[int, bytes]]:
    """Packed lines by their addresses."""
    yield from _PACKED.iter_unpack(lines)


def lines_of(pages: Iterable[Page]) -> Iterator[tuple[int, bytes]]:
    """The lines of pages by their addresses."""
    for address, page in pages:
        for at in range(0, len(page), _LINE_BYTES):
            line = page[at : at + _LINE_BYTES]
            if line != _EMPTY:
                yield address + at // _LINE_BYTES, line


def pages_of(lines: Iterable[tuple[int, bytes]]) -> Iterator[Page]:
    """The pages that lines make."""
    pages: dict[int, list[bytes]] = {}
    for address, line in lines:
        page = pages.setdefault(address - address % _PAGE_LINES, [_EMPTY] * _PAGE_LINES)
        page[address % _PAGE_LINES] = line
    for address, page in pages.items():
        head = address % _FILE_LINES == 0  # of a file, which is no line
        yield address + head, b"".join(page[head:])
