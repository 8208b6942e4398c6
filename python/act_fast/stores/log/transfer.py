"""The log as a whole, out and in: see `Transfer`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Final

from act_fast._core import Log, Restoring
from act_fast._rows import CommitRow
from act_fast.stores.capabilities import SnapshotRow, Take
from act_fast.stores.commit_pages import commit_pages
from act_fast.stores.log.moved import forget_move, note_move

__all__ = ["LogTransfer"]

_PAGE_ROWS: Final = 10_000


class LogTransfer:
    """See `Transfer`."""

    def __init__(self, log: Log) -> None:
        self._log = log

    @property
    def store_id(self) -> str:
        """See `Transfer`."""
        return self._log.store_id

    def standing(self, position: int) -> tuple[int, CommitRow | None]:
        """See `Transfer`."""
        head = self._log.head
        if not 0 < position <= head:
            return head, None
        page = self._log.query({"after": position - 1, "before": position + 1}).next_commit_page(1)
        return head, page[0] if page else None

    def commits(self, after: int, upto: int) -> Iterator[list[CommitRow]]:
        """See `Transfer`."""
        query = self._log.query({"after": after, "before": upto + 1})
        return commit_pages(chain.from_iterable(iter(lambda: query.next_commit_page(_PAGE_ROWS), None)))

    @contextmanager
    def taking(self) -> Iterator[Take]:
        """See `Transfer`."""
        try:
            yield self._log.append_copied
        finally:
            self._log.flush()

    def snapshots(self) -> Iterator[SnapshotRow]:
        """See `Transfer`."""
        streams, after = self._log.streams()
        while True:
            for stream, version, *_ in streams:
                yield from self._snapshots_of(stream, version)
            if after is None:
                return
            streams, after = self._log.streams(after=after)

    def take_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        """See `Transfer`."""
        for stream, version, data in rows:
            known = self._log.latest_snapshot(stream, version)
            if known is None or (known[0], known[2]) != (version, data):
                self._log.save_snapshot(stream, version, data)

    def reactions(self) -> bytes | None:
        """See `Transfer`."""
        return self._log.reaction_lines()

    def take_reactions(self, lines: bytes) -> None:
        """See `Transfer`."""
        if lines or self._log.reaction_lines() is not None:
            self._log.put_reaction_lines(lines)

    def check_hands_over(self) -> None:
        """See `Transfer`."""

    @contextmanager
    def handing_over(self, to: str) -> Iterator[None]:
        """See `Transfer`. Only while no other program has it open for writing; one that opens it meanwhile waits."""
        if self._log.path == "memory:":
            yield
            return
        alone = Restoring.begin(self._log.path, True)  # no one can open it until this is given up
        try:
            yield
            note_move(self._log.path, to)
        finally:
            alone.cancel()

    def taken_over(self) -> None:
        """See `Transfer`."""
        forget_move(self._log.path)

    def _snapshots_of(self, stream: str, version: int) -> list[SnapshotRow]:
        found: list[SnapshotRow] = []
        while version and (snapshot := self._log.latest_snapshot(stream, version)) is not None:
            found.append((stream, snapshot[0], snapshot[2]))
            version = snapshot[0] - 1
        return found[::-1]
