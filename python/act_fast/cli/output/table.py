"""A table on a terminal that can be written page by page: the columns keep the widths that they have come to."""

from collections.abc import Sequence
from datetime import datetime

from rich import box, table
from rich.cells import cell_len
from rich.text import Text

from act_fast.cli.output.rows import Column, Value, printable
from act_fast.cli.output.terminal import console

__all__ = ["Table"]

GAP_CELLS = 2
CUT_CELLS_MIN = 12
FOLDED_CELLS_MIN = 12


class Table:
    """A table that grows downwards, with its titles at the top.

    Numbers and times are never cut. Where the terminal is too narrow the column that stretches is cut, and when that is
    not enough, names are folded.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._console = console()
        self._columns = [column for column in columns if column.in_table]
        self._shown = [index for index, column in enumerate(columns) if column.in_table]
        self._wanted = [
            CUT_CELLS_MIN if column.stretches else cell_len(printable(column.title)) for column in self._columns
        ]
        self._titled = False

    def write(self, rows: Sequence[Sequence[Value]]) -> None:
        """Write `rows`, each with one value for every column."""
        self._console.print(self.page(rows))
        self._titled = True

    def page(self, rows: Sequence[Sequence[Value]]) -> table.Table:
        """The same, for other code to write."""
        shown = [[row[index] for index in self._shown] for row in rows]
        page = table.Table(
            box=box.SIMPLE_HEAD,
            show_header=not self._titled,
            show_edge=False,
            pad_edge=False,
            padding=(0, GAP_CELLS - 1, 0, 0),
        )
        cells = [[_cell(value) for value in row] for row in shown]
        for column, width, value in zip(self._columns, self._widths(cells, shown[0]), shown[0], strict=True):
            _add_column(page, column, width, value)
        for row in cells:
            page.add_row(*row)
        return page

    def _widths(self, cells: Sequence[Sequence[Text]], values: Sequence[Value]) -> list[int]:
        """Wide enough for all that was written so far, and altogether no wider than the terminal if that can be."""
        fixed = [at for at, column in enumerate(self._columns) if not column.stretches]
        for at in fixed:
            self._wanted[at] = max(self._wanted[at], *(row[at].cell_len for row in cells))
        widths = self._wanted.copy()
        spare = self._console.width - sum(widths) - GAP_CELLS * len(widths) + 1
        folded = [at for at in fixed if isinstance(values[at], str)]
        while spare < 0 and any(widths[at] > FOLDED_CELLS_MIN for at in folded):
            widths[max(folded, key=widths.__getitem__)] -= 1
            spare += 1
        return [w + max(0, spare) if c.stretches else w for w, c in zip(widths, self._columns, strict=True)]


def _add_column(page: table.Table, column: Column, width: int, value: Value) -> None:
    title = Text(printable(column.title))  # the names of an answer's columns are whatever the question says
    if isinstance(value, int):
        page.add_column(title, width=width, no_wrap=True, justify="right")
    elif isinstance(value, datetime):
        page.add_column(title, width=width, no_wrap=True, style="dim")
    elif column.stretches:
        page.add_column(title, width=width, no_wrap=True, overflow="ellipsis")
    else:
        page.add_column(title, width=width, overflow="fold")


def _cell(value: Value) -> Text:
    return Text(f"{value:%Y-%m-%d %H:%M:%S}Z" if isinstance(value, datetime) else printable(value))
