"""A connection to ask on: one cut of the log, and the relations that were put in place at it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from act_fast._reactions.skipped import Skipped
from act_fast._reactions.targets import Target
from act_fast._sql.needle import Mentions
from act_fast._sql.parts.manifest import FOLDER, Series
from act_fast.stores.capabilities import columns_of
from act_fast.stores.port import Store

__all__ = ["Session"]


@dataclass
class Session:
    """Where relations are put in place.

    Attributes:
        connection: DuckDB's.
        store: where the events are.
        position: the cut: no relation has anything above it.
        targets: tells the targets as they are now.
        skipped: tells what was skipped, as it is now.
        warned: the views whose failures were told, so that one query tells of them once.
        files: whether the connection can reach files.
        mentions: under which conditions the only question that there will be names relations.
        words: what may be named by it; None: anything.
        is_new: whether nothing was put in place yet.
    """

    connection: duckdb.DuckDBPyConnection
    store: Store
    position: int
    targets: Callable[[], Iterator[Target]]
    skipped: Callable[[], Iterator[Skipped]]
    warned: set[str] = field(default_factory=set)
    files: bool = False
    mentions: Mentions = field(default_factory=dict)
    words: frozenset[str] | None = None
    is_new: bool = False

    def names(self, *called: str) -> bool:
        """Whether one of these may be named."""
        return self.words is None or not self.words.isdisjoint(called)

    def series(self, name: str, mark: str) -> Series | None:
        """The files of a relation; None for a store that has no directory."""
        log = columns_of(self.store)
        if log.path == "memory:":
            return None
        folder = Path(log.path) / FOLDER / f"{re.sub(r'[^a-z0-9]', '_', name.casefold())}-{mark[:12]}"
        return Series(folder, log.store_id, mark)
