"""How many events were appended, part by part: a bar each."""

from typing import Final

from act_fast.inspector.drawing.svg import element, picture, text, title
from act_fast.inspector.rates import Rates

__all__ = ["rate_chart"]

_WIDTH: Final = 1100
_HEIGHT: Final = 132
_TOP: Final = 18
_BASE: Final = _HEIGHT - 18


def rate_chart(rates: Rates) -> str:
    """The bars, with the highest and both ends named."""
    most = max(rates.counts, default=0)
    step = _WIDTH / max(1, len(rates.counts))
    seconds = rates.part.total_seconds()
    bars = []
    for number, count in enumerate(rates.counts):
        height = max(1.5 if count else 0.5, (_BASE - _TOP) * count / max(1, most))
        began = rates.until - rates.part * (len(rates.counts) - number)
        told = f"{began:%Y-%m-%d %H:%M:%S}: {count:,} events, {count / seconds:,.1f} a second"
        bars.append(
            element(
                "rect",
                title(told),
                x=number * step + 0.5,
                y=_BASE - height,
                width=max(1.0, step - 2.0),
                height=height,
                rx=1,
                class_="bar" if count else "bar-empty",
            )
        )
    whole = rates.part * len(rates.counts)
    form = "%H:%M:%S" if whole.total_seconds() < 7200 else "%m-%d %H:%M" if whole.days < 3 else "%Y-%m-%d"
    return picture(
        _WIDTH,
        _HEIGHT,
        f"Events over time, {sum(rates.counts):,} in all, at most {most / seconds:,.1f} a second",
        element("line", x1=0, x2=_WIDTH, y1=_TOP, y2=_TOP, class_="grid"),
        text(0, _TOP - 5, f"{most / seconds:,.1f} / s" if most else "", "tick"),
        *bars,
        element("line", x1=0, x2=_WIDTH, y1=_BASE + 0.5, y2=_BASE + 0.5, class_="axis"),
        text(0, _HEIGHT - 4, f"{rates.until - whole:{form}}", "tick"),
        text(_WIDTH, _HEIGHT - 4, f"{rates.until:{form}}", "tick", "end"),
    )
