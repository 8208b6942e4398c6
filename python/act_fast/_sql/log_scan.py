"""Events as a relation: the log's own columns, and those of one event class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from act_fast._core import Columns
from act_fast._sql.class_decoder import ClassDecoder
from act_fast._sql.pushdown import Bounds
from act_fast._sql.scan import Condition
from act_fast.errors import ArchiveUnavailableError
from act_fast.stores.capabilities import ColumnReader

__all__ = ["Decoded", "LogScan", "Outputs"]

_PAGES_MAX: Final = 4

Outputs = Sequence[tuple[str, str | int]]
"""For each column its name and what it holds: one of the log's own columns, or the number of a field of the shape."""


@dataclass(frozen=True)
class Decoded:
    """How payloads become typed columns.

    Attributes:
        shape: the shape, as the core reads it.
        direct: the stored names of the events that have it as they stand.
        decoder: reads all others.
    """

    shape: str
    direct: frozenset[str]
    decoder: ClassDecoder


class LogScan:
    """Events within bounds, as a relation.

    Attributes:
        columns: the names of its columns.
        bounds: which events it has.
    """

    def __init__(self, log: ColumnReader, outputs: Outputs, bounds: Bounds, decoded: Decoded | None = None) -> None:
        self.columns: Sequence[str] = [name for name, _ in outputs]
        self.bounds = bounds
        self._log = log
        self._outputs = dict(outputs)
        self._decoded = decoded

    def __arrow_c_schema__(self) -> object:
        return self._ask(self.columns, Bounds(before=1)).__arrow_c_schema__()

    @property
    def width(self) -> int:
        """How many events have to be looked at, at most."""
        return self.width_under(())

    def width_under(self, conditions: Sequence[Condition]) -> int:
        """How many events have to be looked at to find those that meet conditions, at most."""
        bounds = self.bounds
        for each in conditions:
            bounds = bounds.within(self._outputs.get(each.column), each) or bounds
        return self._log.columns((), filter=bounds.for_log()).width

    def floor(self, count: int, conditions: Sequence[Condition]) -> int | None:
        """The position from which on there are so many events that meet conditions; None if that is not soon found."""
        bounds = self.bounds
        for each in conditions:
            within = bounds.within(self._outputs.get(each.column), each)
            if within is None or within.correlation is not None:
                return None
            bounds = within
        asked = self._log.query(bounds.for_log(), True)
        for _ in range(_PAGES_MAX):
            try:
                page = asked.next_page(count)
            except ArchiveUnavailableError:  # what was written down may have them
                return None
            if page is None:
                return 1  # there are fewer
            count -= len(page)
            if count == 0:
                return page[-1][0]
        return None

    @property
    def empty(self) -> bool:
        """Whether there are no such events: the index tells, from the newest on."""
        asked = self._log.query(self.bounds.for_log(), True)
        try:
            while (page := asked.next_page(1)) is not None:
                if page:
                    return False
        except ArchiveUnavailableError:  # there is one, wherever it is
            return False
        return True

    def is_archived_under(self, conditions: Sequence[Condition]) -> bool:
        """Whether of the events that meet conditions some are archived."""
        upto = self._log.archived_upto
        return upto > 0 and self.width_under([*conditions, Condition("position", "<=", upto)]) > 0

    def accepts(self, condition: Condition) -> bool:
        """See `Scan`: what the index answers, or what is known of an event before its payload is read."""
        return Bounds().within(self._outputs.get(condition.column), condition) is not None

    def read(self, columns: Sequence[str] | None, conditions: Sequence[Condition]) -> tuple[object, bool]:
        """See `Scan`."""
        bounds = self.bounds
        for condition in conditions:
            within = bounds.within(self._outputs[condition.column], condition)
            assert within is not None, "a condition that was not accepted"
            bounds = within
        found = self._ask(self.columns if columns is None else columns, bounds)
        return found.__arrow_c_stream__(), columns is not None

    def only(self, columns: Sequence[str]) -> Columns:
        """All of it, with some of its columns, in this order."""
        return self._ask(columns, self.bounds)

    def _ask(self, columns: Sequence[str], bounds: Bounds) -> Columns:
        wanted = [(name, self._outputs[name]) for name in columns]
        if self._decoded is None:
            return self._log.columns(wanted, filter=bounds.for_log())
        shape, direct, decoder = self._decoded.shape, set(self._decoded.direct), self._decoded.decoder
        return self._log.columns(wanted, shape, direct, decoder, bounds.for_log())
