"""Both frontiers: how many targets stand in each part of the log, those with work below, the others above."""

from math import log10
from typing import Final

from act_fast.inspector.drawing.svg import element, picture, text, title
from act_fast.inspector.tally import Tally

__all__ = ["frontiers"]

_WIDTH: Final = 1100
_HALF: Final = 64
_MIDDLE: Final = 96
_HEIGHT: Final = 200


def frontiers(tally: Tally, pinned: int | None) -> str:
    """The picture: the log from left to right, and the targets along it."""
    head = max(1, tally.head)
    parts = len(tally.caught_up)
    step = _WIDTH / parts
    most = max(1, *tally.caught_up, *tally.behind)
    drawn = []
    for number in range(parts):
        span = f"positions {number * head // parts + 1:,} to {(number + 1) * head // parts:,}"
        for counts, class_, down in (
            (tally.caught_up, "frontier-leading", False),
            (tally.behind, "frontier-lagging", True),
        ):
            count = counts[number]
            if not count:
                continue
            height = max(4.0, _HALF * log10(count + 1) / log10(most + 1))
            drawn.append(
                element(
                    "rect",
                    title(f"{count:,} {'with work' if down else 'caught up'}, at {span}"),
                    x=number * step + 1,
                    y=_MIDDLE + 2 if down else _MIDDLE - 2 - height,
                    width=step - 2,
                    height=height,
                    rx=1.5,
                    class_=class_,
                )
            )
    marks = [_mark(tally.head, head, "head", 0, "mark-head")]
    if tally.lagging is not None:
        marks.append(_mark(tally.lagging, head, f"lagging {tally.lagging:,}", _HEIGHT - 22, "mark-lagging"))
    if tally.total:
        marks.append(_mark(tally.leading, head, f"leading {tally.leading:,}", 13, "mark-leading"))
    if pinned is not None:
        marks.append(_mark(pinned, head, f"pinned at {pinned:,}", _HEIGHT - 34, "mark-head"))
    return picture(
        _WIDTH,
        _HEIGHT,
        f"Frontiers: head {tally.head:,}, leading {tally.leading:,},"
        f" {'none lags' if tally.lagging is None else f'lagging {tally.lagging:,}'}",
        *drawn,
        element("line", x1=0, x2=_WIDTH, y1=_MIDDLE, y2=_MIDDLE, class_="axis"),
        *marks,
        text(0, _HEIGHT - 4, "0", "tick"),
        text(_WIDTH / 2, _HEIGHT - 4, f"{tally.head // 2:,}", "tick", "middle"),
        text(_WIDTH, _HEIGHT - 4, f"{tally.head:,}", "tick", "end"),
    )


def _mark(position: int, head: int, words: str, y: float, class_: str) -> str:
    x = min(_WIDTH - 1.0, max(1.0, _WIDTH * position / head))
    anchor = "end" if x > _WIDTH / 2 else "start"
    return element("line", x1=x, x2=x, y1=y + 3, y2=_MIDDLE, class_=class_) + text(
        x - 4 if anchor == "end" else x + 4, y + 8, words, f"tick {class_}", anchor
    )
