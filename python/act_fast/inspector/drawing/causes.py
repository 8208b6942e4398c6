"""The events of a correlation as a graph: each to the right of what caused it."""

from collections.abc import Callable, Sequence
from typing import Final

from act_fast._events.committed import Committed
from act_fast.inspector.drawing.svg import curve, cut_text, element, link, picture, text

__all__ = ["causes"]

_BOX: Final = (178, 40)
_GAP: Final = (58, 12)


def causes(events: Sequence[Committed[bytes]], address: Callable[[Committed[bytes]], str]) -> str:
    """The picture; empty without events."""
    if not events:
        return ""
    known = {event.position: event for event in events}
    children: dict[int | None, list[Committed[bytes]]] = {}
    for event in events:
        cause = event.meta.event.position if event.meta.event is not None else None
        children.setdefault(cause if cause in known else None, []).append(event)
    places: dict[int, tuple[float, float]] = {}
    row = 0
    # Depth first, without recursion: a chain of causes may be long.
    stack = [(event, 0) for event in reversed(children.get(None, []))]
    while stack:
        event, depth = stack.pop()
        below = children.get(event.position, [])
        places[event.position] = (depth * (_BOX[0] + _GAP[0]), row * (_BOX[1] + _GAP[1]))
        if not below:
            row += 1
        stack += [(each, depth + 1) for each in reversed(below)]
    lines, boxes = [], []
    for event in events:
        x, y = places[event.position]
        cause = event.meta.event.position if event.meta.event is not None else None
        if cause in places:
            from_x, from_y = places[cause][0] + _BOX[0], places[cause][1] + _BOX[1] / 2
            lines.append(curve((from_x, from_y), (x, y + _BOX[1] / 2), "cause"))
        boxes.append(
            link(
                address(event),
                element("rect", x=x + 0.5, y=y + 0.5, width=_BOX[0] - 1, height=_BOX[1] - 1, rx=6, class_="node"),
                text(x + 10, y + 17, cut_text(event.name, 24), "label-strong"),
                text(x + 10, y + 32, cut_text(event.stream, 26), "label-mono"),
            )
        )
    width = max(x for x, _ in places.values()) + _BOX[0]
    height = max(y for _, y in places.values()) + _BOX[1]
    return picture(
        width + 2,
        height + 2,
        f"Graph of {len(events)} events and their causes",
        *lines,
        *boxes,
        grows=False,
        leads_somewhere=True,
    )
