"""The bar that a replay shows on a terminal: events, events a second, time left."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from act_fast._checks.extras import has
from act_fast._rows import Progress

__all__ = ["replay_bar"]


@contextmanager
def replay_bar(doing: str) -> Iterator[Progress | None]:
    """What to call with how many events are done and how many there are; None when nothing can be drawn."""
    if not sys.stderr.isatty() or not has("rich"):
        yield None
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=None),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[rate]}"),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None, rate="")

        def report(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:,.0f} events/s" if speed else "")

        yield report
