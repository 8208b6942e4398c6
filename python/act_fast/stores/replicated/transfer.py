"""A replicated store as a whole, out and in: see `Transfer`."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Final

from act_fast._core import Log
from act_fast._rows import CommitRow
from act_fast.errors import StoreLockedError, ValidationError
from act_fast.stores.capabilities import SnapshotRow, Take
from act_fast.stores.log.transfer import LogTransfer
from act_fast.stores.replicated.changes import Change, packed, unpacked
from act_fast.stores.replicated.proposer import Part, Proposer
from act_fast.stores.replicated.state import State

__all__ = ["ReplicaTransfer"]

_LINES_MAX: Final = 8_000
"""So many lines go into one record."""


class ReplicaTransfer(LogTransfer):
    """See `Transfer`. What comes out is the replica's; what goes in is proposed."""

    def __init__(self, log: Log, folder: Path, proposer: Proposer, name: str) -> None:
        super().__init__(log)
        self._folder = folder
        self._proposer = proposer
        self._name = name

    @contextmanager
    def taking(self) -> Iterator[Take]:
        """See `Transfer`."""
        yield self._take

    def take_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        """See `Transfer`. Snapshots are each replica's own."""
        super().take_snapshots(rows)

    def reactions(self) -> bytes | None:
        """See `Transfer`."""
        lines: dict[int, bytes] = {}
        with closing(State(self._folder)) as state:
            state.begin()
            for page in state.lines():
                lines.update(unpacked(page))
            for _, _, page in state.changes(0):
                lines.update(unpacked(page))
        return packed(lines.items()) or None

    def take_reactions(self, lines: bytes) -> None:
        """See `Transfer`."""
        there = self.reactions()
        if not lines and there is None:
            return
        if there is not None:
            raise ValidationError(f"{self._name} already has a record of reactions, which cannot be replaced")
        every = list(unpacked(lines))
        with closing(State(self._folder)) as state:
            number = state.standing(0, 0)[0]
            for at in range(0, len(every), _LINES_MAX):
                number += 1
                change = Change(number, random.getrandbits(62), 0, packed(every[at : at + _LINES_MAX]))
                self._proposer.propose("reactions", change.body())
                if state.number_of(change.number - 1, change.mark) != change.number:
                    raise StoreLockedError(f"other programs run reactions on {self._name}; stop them, and start again")

    def check_hands_over(self) -> None:
        """See `Transfer`. Not offered."""
        raise ValidationError(
            f"{self._name} cannot be handed over: nothing would keep other nodes from appending. Stop every program"
            " that appends to it, then copy it, with hand_over=False or `act-fast move --copy`; reactions begin again"
            " there"
        )

    @contextmanager
    def handing_over(self, to: str) -> Iterator[None]:
        """See `Transfer`. Not offered: there is nothing that would keep other nodes from appending."""
        self.check_hands_over()
        yield

    def taken_over(self) -> None:
        """See `Transfer`."""

    def _take(self, page: list[CommitRow]) -> None:
        _check_goes_on(self.standing(self._log.head)[1], page)
        commits, positions = [], []
        for position, rows in groupby(page, lambda row: row[1]):
            commit = list(rows)
            parts: list[Part] = []
            for stream, group in groupby(commit, lambda row: row[2]):
                events = list(group)
                pairs = [(row[4], row[6], row[8]) if row[8] else (row[4], row[6]) for row in events]
                parts.append((stream, pairs, events[0][3] - 1))
            commits.append((parts, commit[0][7], commit[0][5]))
            positions.append(position)
        for where, position in zip(self._proposer.copy(commits), positions, strict=True):
            if where[0].first_position != position:
                raise ValidationError(
                    f"the commit at position {position} came to position {where[0].first_position}: others have"
                    f" appended to {self._name} meanwhile"
                )


def _check_goes_on(last: CommitRow | None, page: list[CommitRow]) -> None:
    """Refuse a page that does not come behind the last event of a store."""
    position, created_us = (0, 0) if last is None else (last[0], last[5])
    for row in page:
        if row[0] != position + 1 or row[5] < created_us:
            raise ValidationError(
                f"the event at position {row[0]} cannot be copied after that at {position}: positions have no gaps,"
                " and times do not run backwards"
            )
        position, created_us = row[0], row[5]
