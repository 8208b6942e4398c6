"""The streams as a relation: what the index knows of each, as of a position."""

from collections.abc import Sequence

from act_fast._core import StreamColumns
from act_fast._sql.pushdown import Bounds
from act_fast._sql.scan import Condition
from act_fast.stores.capabilities import ColumnReader

__all__ = ["StreamScan"]


class StreamScan:
    """The streams that had events when a position was the last.

    Args:
        log: where they are.
        cut: the position.

    Attributes:
        columns: the names of its columns.
    """

    columns: Sequence[str] = (
        "stream",
        "version",
        "first_position",
        "last_position",
        "first_created",
        "last_created",
        "last_name",
    )

    def __init__(self, log: ColumnReader, cut: int) -> None:
        self._log = log
        self._cut = cut

    def __arrow_c_schema__(self) -> object:
        return self._log.stream_columns(self.columns, 0).__arrow_c_schema__()

    def accepts(self, condition: Condition) -> bool:
        """See `Scan`: streams."""
        return condition.column == "stream" and Bounds().within("stream", condition) is not None

    def read(self, columns: Sequence[str] | None, conditions: Sequence[Condition]) -> tuple[object, bool]:
        """See `Scan`."""
        bounds = Bounds()
        for condition in conditions:
            within = bounds.within("stream", condition)
            assert within is not None, "a condition that was not accepted"
            bounds = within
        found: StreamColumns = self._log.stream_columns(
            self.columns if columns is None else columns, self._cut, bounds.streams
        )
        return found.__arrow_c_stream__(), columns is not None
