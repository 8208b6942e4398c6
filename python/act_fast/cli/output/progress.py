"""A bar on standard error while that is a terminal, so that the output itself can go elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from act_fast._checks.extras import has
from act_fast._rows import Progress
from act_fast.cli.output.terminal import console

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(doing: str, *, in_bytes: bool = False) -> Iterator[Progress | None]:
    """What to call with how much is done and how much there is; None when no one would see it."""
    if not sys.stderr.isatty() or not has("rich"):
        yield None
        return
    from rich import progress as rich

    done = (rich.DownloadColumn(), rich.TransferSpeedColumn()) if in_bytes else (rich.MofNCompleteColumn(),)
    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=None),
        *done,
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda completed, total: bar.update(task, completed=completed, total=total)
