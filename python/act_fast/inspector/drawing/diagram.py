"""An app as a diagram: states with their actions, the events that come of them, and what reacts to these."""

from typing import Final

from act_fast.inspector.drawing.svg import curve, cut_text, element, group, picture, text
from act_fast.inspector.structure import Structure

__all__ = ["diagram_of"]

_WIDE: Final = 230
_LINE: Final = 18
_HEAD: Final = 30
_ACROSS: Final = 110
_DOWN: Final = 18
_COLUMNS: Final = (0, _WIDE + _ACROSS, 2 * (_WIDE + _ACROSS))
_TOP: Final = 28

STYLE: Final = """
svg{font:13px system-ui,sans-serif;background:#fff}
.node{fill:#fff;stroke:#c9ced6}.node-state{fill:#f3f6f8;stroke:#9aa4b2}.node-projection{fill:#eef7f5;stroke:#0f766e}
.cause{fill:none;stroke:#8a94a3;stroke-width:1.2}.cause-action{stroke:#0f766e}
.label-strong{font-weight:600;fill:#1c2430}.label{fill:#414b5a}
.label-mono{font:12px ui-monospace,monospace;fill:#414b5a}
.tick{font-size:12px;fill:#5b6675}.axis{stroke:#c9ced6}
@media (prefers-color-scheme: dark){svg{background:#12161c}.node{fill:#171c24;stroke:#3a4452}
.node-state{fill:#1b222c;stroke:#566273}.node-projection{fill:#12241f;stroke:#2dd4bf}.cause{stroke:#6b7686}
.cause-action{stroke:#2dd4bf}.label-strong{fill:#e8edf3}.label,.label-mono{fill:#b6c0cc}.tick{fill:#98a3b2}
.axis{stroke:#3a4452}}
"""


def diagram_of(structure: Structure, *, standalone: bool = False) -> str:
    """The diagram. With `standalone` it brings its colours along."""
    boxes: list[str] = []
    starts: dict[tuple[str, str], tuple[float, float]] = {}
    y = float(_TOP)
    for state in structure.states:
        lines = [action.name for action in state.actions]
        boxes.append(
            _box(
                _COLUMNS[0], y, state.name, [f"{each}()" for each in lines], "node-state", f"{len(state.fields)} fields"
            )
        )
        for number, action in enumerate(state.actions):
            starts[state.name, action.name] = (_COLUMNS[0] + _WIDE, y + _HEAD + _LINE * number + 7)
        y += _height(len(lines)) + _DOWN
    left_height = y
    order = _ordered(structure)
    spots: dict[str, float] = {}
    y = float(_TOP)
    for name in order:
        event = next(each for each in structure.events if each.name == name)
        fields = [f"{field}: {kind}" for field, kind in event.fields]
        boxes.append(_box(_COLUMNS[1], y, name, fields, "node", ""))
        spots[name] = y + _HEAD / 2
        y += _height(len(fields)) + _DOWN
    middle_height = y
    y = float(_TOP)
    ends: dict[str, float] = {}
    for reaction in structure.reactions:
        kind = "node-projection" if reaction.projection else "node"
        lines = ["projection" if reaction.projection else f"to {reaction.to}"]
        lines += [f"of {reaction.source}"] if reaction.source else []
        lines += [f"tagged {tag}" for tag in reaction.tags]
        lines += [f"lane {reaction.lane}"] if reaction.lane != "default" else []
        boxes.append(_box(_COLUMNS[2], y, reaction.name, lines, kind, ""))
        ends[reaction.name] = y + _HEAD / 2
        y += _height(len(lines)) + _DOWN
    height = max(left_height, middle_height, y)
    lines_drawn = []
    for state in structure.states:
        for action in state.actions:
            for name in action.events:
                if name in spots:
                    lines_drawn.append(
                        curve(starts[state.name, action.name], (_COLUMNS[1], spots[name]), "cause cause-action")
                    )
    for reaction in structure.reactions:
        for name in reaction.events:
            if name in spots:
                lines_drawn.append(
                    curve((_COLUMNS[1] + _WIDE, spots[name]), (_COLUMNS[2], ends[reaction.name]), "cause")
                )
    titles = [
        text(_COLUMNS[number] + 2, 14, title, "tick")
        for number, title in enumerate(("States and actions", "Events", "Reactions and projections"))
        if number < 2 or structure.reactions
    ]
    width = _COLUMNS[2] + _WIDE if structure.reactions else _COLUMNS[1] + _WIDE
    style = [element("style", STYLE)] if standalone else []
    counts = f"{len(structure.states)} states, {len(structure.events)} events, {len(structure.reactions)} reactions"
    return picture(
        width + 2, height, f"Diagram of an app: {counts}", *style, *titles, *lines_drawn, *boxes, grows=False
    )


def _ordered(structure: Structure) -> list[str]:
    """Events state by state, so that lines cross little; those of no state last."""
    named = [name for state in structure.states for action in state.actions for name in action.events]
    named += [name for state in structure.states for name in state.events]
    named += [each.name for each in structure.events]
    known = {each.name for each in structure.events}
    return [name for name in dict.fromkeys(named) if name in known]


def _height(lines: int) -> float:
    return _HEAD + _LINE * lines + (6 if lines else 0)


def _box(x: float, y: float, title: str, lines: list[str], class_: str, aside: str) -> str:
    return group(
        element("rect", x=x + 0.5, y=y + 0.5, width=_WIDE, height=_height(len(lines)), rx=7, class_=class_),
        text(x + 12, y + 20, cut_text(title, 28), "label-strong"),
        text(x + _WIDE - 10, y + 20, aside, "tick", "end") if aside else "",
        *(
            text(x + 12, y + _HEAD + 11 + _LINE * number, cut_text(line, 30), "label-mono")
            for number, line in enumerate(lines)
        ),
    )
