"""The events of a correlation along time, each under what caused it, with the gap between the two."""

from collections.abc import Callable, Sequence
from typing import Final

from act_fast._events.committed import Committed
from act_fast.inspector.drawing.svg import cut_text, element, link, picture, text, title
from act_fast.inspector.rendering import span

__all__ = ["waterfall"]

_ROW: Final = 26
_LEFT: Final = 300
_WIDTH: Final = 1100
_RIGHT: Final = 90
_TOP: Final = 26


def waterfall(events: Sequence[Committed[bytes]], address: Callable[[Committed[bytes]], str]) -> str:
    """The picture; empty without events."""
    if not events:
        return ""
    begun = events[0].created
    whole = max(1e-6, (events[-1].created - begun).total_seconds())
    room = _WIDTH - _LEFT - _RIGHT
    place = {event.position: number for number, event in enumerate(events)}
    depth: dict[int, int] = {}
    height = _TOP + _ROW * len(events) + 6

    def x_of(event: Committed[bytes]) -> float:
        return _LEFT + room * (event.created - begun).total_seconds() / whole

    drawn = [
        element("line", x1=_LEFT + room * part / 4, x2=_LEFT + room * part / 4, y1=_TOP - 6, y2=height, class_="grid")
        + text(_LEFT + room * part / 4, 12, f"+{span(whole * part / 4)}" if part else "0", "tick", "middle")
        for part in range(5)
    ]
    for number, event in enumerate(events):
        y, x = _TOP + _ROW * number + _ROW / 2, x_of(event)
        cause = place.get(event.meta.event.position) if event.meta.event is not None else None
        depth[number] = min(8, depth.get(cause, 0) + 1) if cause is not None else 0
        indent = 12 * depth[number]
        label = cut_text(f"{event.name}", 24)
        drawn.append(
            element(
                "rect", x=0, y=y - _ROW / 2, width=_WIDTH, height=_ROW, class_="row-odd" if number % 2 else "row-even"
            )
        )
        drawn.append(
            link(
                address(event),
                text(4 + indent, y + 4, label, "label-strong"),
                text(_LEFT - 12, y + 4, cut_text(event.stream, 20), "label-mono", "end"),
            )
        )
        if cause is not None:
            from_x = x_of(events[cause])
            from_y = _TOP + _ROW * cause + _ROW / 2
            gap = (event.created - events[cause].created).total_seconds()
            drawn.append(element("path", d=f"M{from_x:.1f} {from_y + 5:.1f}V{y:.1f}H{x - 5:.1f}", class_="cause"))
            drawn.append(text(x + 9, y + 4, f"+{span(gap)}", "tick"))
        drawn.append(
            element(
                "circle",
                title(f"{event.name} at {event.created.isoformat()}"),
                cx=x,
                cy=y,
                r=4.5,
                class_="dot" if cause is None else "dot-caused",
            )
        )
    return picture(
        _WIDTH, height, f"Waterfall of {len(events)} events over {span(whole)}", *drawn, leads_somewhere=True
    )
