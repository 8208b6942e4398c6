"""The form that rows take: a table, tab-separated lines, or JSON."""

import sys
from collections.abc import Sequence

from act_fast.cli.output.rows import Column, JsonLines, Rows, TabLines
from act_fast.cli.output.terminal import draws

__all__ = ["rows_to_stdout"]


def rows_to_stdout(columns: Sequence[Column], *, as_json: bool) -> Rows:
    """The form that suits the reader of standard output."""
    if as_json:
        return JsonLines(columns)
    if draws():
        from act_fast.cli.output.table import Table  # rich takes a while to import, and a pipe has no use for it

        return Table(columns)
    return TabLines(columns, titled=sys.stdout.isatty())
