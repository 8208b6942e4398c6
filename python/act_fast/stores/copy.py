"""Copying all that a store holds into another one, as it stands there, and comparing the two event by event."""

import hashlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

import msgspec

from act_fast._rows import CommitRow, Progress
from act_fast.errors import MoveError, ValidationError
from act_fast.stores.capabilities import SnapshotRow, Transfer

__all__ = ["Copy"]

_STEP_EVENTS: Final = 100_000
"""So many events are taken at a time: what a program that is killed has taken before is there."""

_SNAPSHOTS: Final = 500
_encode: Final = msgspec.msgpack.Encoder().encode


class Copy:
    """A copy in the making. What is in the target already, from an earlier attempt, is not copied again.

    Args:
        source: where events are, and are still appended.
        target: where they go; empty, or as much of the source as was copied before.
        progress: called with (positions done, positions in all): each is copied, and then compared.

    Attributes:
        position: up to where events have been copied.

    Raises:
        ValidationError: the target holds something else.
    """

    def __init__(self, source: Transfer, target: Transfer, progress: Progress | None) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._compared = 0
        self._digests = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
        position, _ = target.standing(0)
        self.position: int = position
        _, last = target.standing(position)
        self._head, there = source.standing(self.position)
        if last != there:
            raise ValidationError(
                f"the target holds {self.position} events that are not those of the source; name an empty one, or the"
                " one that this source was copied to before"
            )

    @property
    def digest(self) -> str:
        """Of all events that were compared, as the target holds them."""
        return self._digests[1].hexdigest()

    def go_on(self) -> int:
        """Copy what the source holds by now; how many events that is."""
        begun_at = self.position
        self._head, _ = self._source.standing(0)
        pages = self._source.commits(begun_at, self._head)
        page = next(pages, None)
        while page is not None:
            with self._target.taking() as take:
                until = self.position + _STEP_EVENTS
                while page is not None and self.position < until:
                    take(page)
                    self.position = page[-1][0]
                    self._tell()
                    page = next(pages, None)
        return self.position - begun_at

    def compare(self) -> None:
        """Read on both sides what was copied since the last time.

        Raises:
            MoveError: they are not the same.
        """
        upto = self.position
        sides = [side.commits(self._compared, upto) for side in (self._source, self._target)]
        for pages in zip_longest(*sides, fillvalue=[]):
            if pages[0] != pages[1]:
                raise MoveError(
                    f"the event at position {_first_difference(*pages)} is not the same in source and target"
                )
            for digest, page in zip(self._digests, pages, strict=True):
                digest.update(b"".join(map(_encode, page)))
            self._compared = pages[0][-1][0]
            self._tell()
        if self._digests[0].digest() != self._digests[1].digest() or self._compared != upto:
            raise MoveError(f"source and target are not the same up to position {upto}")

    def snapshots(self) -> int:
        """Copy the snapshots that the target does not have, and look whether it has them then; how many there are."""
        wanted: list[SnapshotRow] = []
        for row in _missing(self._source.snapshots(), self._target.snapshots()):
            wanted.append(row)
            if len(wanted) == _SNAPSHOTS:
                self._target.take_snapshots(wanted)
                wanted = []
        self._target.take_snapshots(wanted)
        lost = next(_missing(self._source.snapshots(), self._target.snapshots()), None)
        if lost is not None:
            raise MoveError(f"the snapshot of stream {lost[0]!r} at version {lost[1]} is not the same in the target")
        return sum(1 for _ in self._source.snapshots())

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self.position + self._compared, 2 * max(self._head, self.position))


def _first_difference(one: list[CommitRow], other: list[CommitRow]) -> int:
    pairs = zip_longest(one, other)
    return next((mine or theirs)[0] for mine, theirs in pairs if mine != theirs)


def _missing(wanted: Iterator[SnapshotRow], there: Iterator[SnapshotRow]) -> Iterator[SnapshotRow]:
    """Those that are wanted and not there."""
    found = set(map(_mark, there))
    return (row for row in wanted if _mark(row) not in found)


def _mark(row: SnapshotRow) -> bytes:
    return hashlib.blake2b(_encode(row), digest_size=16).digest()
