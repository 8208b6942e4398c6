"""The lines of reactions, packed and in pages: the same for the core and for what is moved."""

from act_fast._core import Mirror
from act_fast.stores.database.lines import lines_of, packed, pages_of, unpacked

FILE = 1 << 48
LINES = {
    file * FILE + number: bytes([file, number % 256]) * 32 for file in (64, 65) for number in (1, 2, 63, 64, 130, 1000)
}


def test_lines_come_back_from_their_pages() -> None:
    pages = [*pages_of(unpacked(packed(LINES)))]
    assert [address % FILE for address, _ in pages] == [1, 64, 128, 960] * 2
    assert dict(lines_of(pages)) == LINES


def test_the_pages_of_the_core_begin_where_those_do() -> None:
    mirror = Mirror()
    mirror.take_over(1, packed(LINES))
    pages = [*zip(*mirror.unfolded(), strict=True)]
    assert [address for address, _ in pages] == [address for address, _ in pages_of(LINES.items())]
    assert dict(lines_of(pages)) == LINES
