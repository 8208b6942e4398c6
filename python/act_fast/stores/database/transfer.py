"""A store in a database as a whole, out and in: what databases share of a `Transfer`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

import msgspec

from act_fast._rows import CommitRow, JoinedRow
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import SnapshotRow, Take
from act_fast.stores.commit_pages import commit_pages
from act_fast.stores.database.connections import Connections
from act_fast.stores.database.tags import tags_in

__all__ = ["DatabaseTransfer", "Going"]

C = TypeVar("C")


class _Correlation(msgspec.Struct):
    """The part of a meta that commits are found by."""

    correlation: str | None = None


class DatabaseTransfer(ABC, Generic[C]):
    """See `Transfer`.

    Args:
        connections: to the database.
        store_id: what tells the store from all others.
    """

    def __init__(self, connections: Connections[C], store_id: str) -> None:
        self._connections = connections
        self._store_id = store_id

    @property
    def store_id(self) -> str:
        """See `Transfer`."""
        return self._store_id

    def standing(self, position: int) -> tuple[int, CommitRow | None]:
        """See `Transfer`."""
        ((head, *row),) = self._connections.ask(
            "select l.position, e.position, e.commit_position, e.stream, e.version, e.name, e.created_us, e.data,"
            " e.meta, e.tags from {schema}.log as l left join {schema}.events as e on e.position = %s",
            position,
        )
        found: Any = None if row[0] is None else (*row[:8], tags_in(row[8]))
        return head, found

    def commits(self, after: int, upto: int) -> Iterator[list[CommitRow]]:
        """See `Transfer`."""
        return commit_pages((*row[:8], tags_in(row[8])) for row in self._read(after, upto))

    def snapshots(self) -> Iterator[SnapshotRow]:
        """See `Transfer`."""
        first, version = 0, 0
        while found := self._connections.ask(
            "select s.first_position, p.stream, p.version, p.data from {schema}.snapshots as p"
            " join {schema}.streams as s on s.stream = p.stream where s.first_position > %s"
            " or (s.first_position = %s and p.version > %s) order by s.first_position, p.version limit 1000",
            first, first, version,
        ):  # fmt: skip
            for _, stream, version, data in found:
                yield stream, version, data
            first = found[-1][0]

    def reactions(self) -> bytes | None:
        """See `Transfer`. Nothing, in a database that keeps nothing of them."""
        return None

    def take_reactions(self, lines: bytes) -> None:
        """See `Transfer`."""
        if lines:
            raise ValidationError("this database keeps nothing of reactions, so theirs cannot be moved to it")

    @abstractmethod
    def _read(self, after: int, upto: int) -> Iterator[JoinedRow]:
        """The events behind a position up to another, in order."""

    @abstractmethod
    def taking(self) -> AbstractContextManager[Take]:
        """See `Transfer`."""

    @abstractmethod
    def take_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        """See `Transfer`."""

    def check_hands_over(self) -> None:
        """See `Transfer`."""

    @abstractmethod
    def handing_over(self, to: str) -> AbstractContextManager[None]:
        """See `Transfer`."""

    @abstractmethod
    def taken_over(self) -> None:
        """See `Transfer`."""


class Going:
    """Where a log ends while events are copied behind it.

    Attributes:
        position: of the last event.
        created_us: when that was created.
    """

    def __init__(self, position: int, created_us: int) -> None:
        self.position: int = position
        self.created_us: int = created_us
        self._meta = b""
        self._correlation: bytes | None = None

    def on(self, row: CommitRow) -> bytes | None:
        """Go on to the next event; the correlation by which it is found, in UTF-8.

        Raises:
            ValidationError: it is not the next.
        """
        position, created_us, meta = row[0], row[5], row[7]
        if position != self.position + 1 or created_us < self.created_us:
            raise ValidationError(
                f"the event at position {position} cannot be copied after that at {self.position}: positions have no"
                " gaps, and times do not run backwards"
            )
        self.position, self.created_us = position, created_us
        if meta != self._meta:
            found = msgspec.json.decode(meta, type=_Correlation).correlation if meta else None
            self._meta, self._correlation = meta, None if found is None else found.encode()
        return self._correlation
