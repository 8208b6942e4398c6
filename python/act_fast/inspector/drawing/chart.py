"""An answer as a chart: bars by name, or a line along numbers or times."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from act_fast.inspector.drawing.svg import cut_text, element, picture, text

__all__ = ["chart"]

_BARS_MAX: Final = 40
_POINTS_MAX: Final = 500
_WIDTH: Final = 780
_BAR: Final = 24
_LEFT: Final = 190


def chart(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str | None:
    """A chart of the first column that has numbers, along the first other one; None if that makes no sense."""
    values = next(
        (at for at in reversed(range(len(columns))) if rows and all(_is_number(row[at]) for row in rows)), None
    )
    labels = next((at for at in range(len(columns)) if at != values), None)
    if values is None or labels is None or len(rows) < 2:
        return None
    pairs = [(row[labels], float(row[values])) for row in rows]
    if len(rows) > 3 and all(isinstance(label, datetime | date) or _is_number(label) for label, _ in pairs):
        try:
            return _line(columns[labels], columns[values], pairs[:_POINTS_MAX])
        except (OverflowError, ValueError):  # a time that is none, such as infinity
            return None
    return _bars(columns[values], pairs[:_BARS_MAX])


def _bars(title: str, pairs: Sequence[tuple[Any, float]]) -> str:
    low, high = min(0.0, *(value for _, value in pairs)), max(0.0, *(value for _, value in pairs))
    room = _WIDTH - _LEFT - 110
    scale = room / ((high - low) or 1)
    zero = _LEFT - low * scale
    drawn = []
    for number, (label, value) in enumerate(pairs):
        y = number * _BAR
        x = zero if value >= 0 else zero + value * scale
        drawn.append(
            text(_LEFT - 10, y + 16, cut_text("null" if label is None else str(label), 25), "label-mono", "end")
        )
        drawn.append(
            element("rect", x=x, y=y + 4, width=max(1.0, abs(value) * scale), height=_BAR - 8, rx=2, class_="bar")
        )
        drawn.append(text(zero + max(0.0, value) * scale + 8, y + 16, f"{value:,.10g}", "tick"))
    return picture(_WIDTH, len(pairs) * _BAR + 4, f"{title}, {len(pairs)} bars", *drawn)


def _line(label: str, title: str, pairs: Sequence[tuple[Any, float]]) -> str:
    height, left, top = 260, 76, 14
    spots = sorted((_place(each), value) for each, value in pairs)
    first, last = spots[0][0], spots[-1][0]
    low, high = min(0.0, *(value for _, value in spots)), max(value for _, value in spots)
    wide, tall = (_WIDTH - left - 16) / ((last - first) or 1), (height - top - 30) / ((high - low) or 1)
    points = " ".join(f"{left + (x - first) * wide:.1f},{height - 30 - (y - low) * tall:.1f}" for x, y in spots)
    ends = sorted((each for each, _ in pairs), key=_place)
    grid = []
    for part in range(3):
        y = height - 30 - (height - top - 30) * part / 2
        grid.append(element("line", x1=left, x2=_WIDTH - 16, y1=y, y2=y, class_="grid"))
        grid.append(text(left - 8, y + 4, f"{low + (high - low) * part / 2:,.6g}", "tick", "end"))
    return picture(
        _WIDTH,
        height,
        f"{title} along {label}, {len(pairs)} points",
        *grid,
        element("polyline", points=points, class_="line"),
        *(
            element("circle", cx=each.split(",")[0], cy=each.split(",")[1], r=2, class_="dot")
            for each in points.split(" ")
            if len(pairs) <= 80
        ),
        text(left, height - 8, str(ends[0]), "tick"),
        text(_WIDTH - 16, height - 8, str(ends[-1]), "tick", "end"),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _place(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return float(value.toordinal())
    return float(value)
