"""How values are written on pages: numbers, times, JSON."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from act_fast.inspector.masking import HIDDEN, Mask, Payload, masked, shown_error
from act_fast.monitoring.words import counted

__all__ = ["bytes_in_words", "json_line", "json_lines", "span", "templates"]

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_LINE_LETTERS: Final = 220
_INDENT: Final = "  "
_NOTHING: Final = "\N{EN DASH}"


@cache
def templates() -> Environment:
    """The templates of all pages. What is put in them is escaped."""
    made = Environment(
        loader=PackageLoader("act_fast.inspector"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=_number,
        bytes=bytes_in_words,
        time=_time,
        ago=_ago,
        span=span,
        json_line=json_line,
        json_lines=json_lines,
        counted=lambda number, noun: counted(number, noun),
        error=shown_error,
    )
    made.globals.update(hidden=HIDDEN)
    return made


def _number(value: float | None, digits: int = 0) -> str:
    return _NOTHING if value is None else f"{value:,.{digits}f}"


def bytes_in_words(value: float) -> str:
    """`3.2 MB`."""
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:,.1f} {unit}"
        value /= 1000
    raise AssertionError


def _time(moment: datetime | None, *, precise: bool = False) -> Markup:
    if moment is None:
        return Markup(_NOTHING)
    there = moment.astimezone(UTC)
    shown = f"{there:%Y-%m-%d %H:%M:%S}" + (f".{there.microsecond // 1000:03}" if precise else "")
    return Markup('<time datetime="{}">{}</time>').format(there.isoformat(), shown)


def _ago(moment: datetime | None, now: datetime) -> Markup:
    if moment is None:
        return Markup(_NOTHING)
    seconds = (now - moment).total_seconds()
    told = f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(), f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", told
    )


def span(value: float | timedelta) -> str:
    """`12.3 s`, `4 min`, `3 h`, `12 days`."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 86400:,.0f} days"


def json_line(data: bytes | object, payload: Payload) -> Markup:
    """JSON on one line, as far as it may be shown, cut where it gets long."""
    found = _parsed(data, payload)
    if found is _HIDDEN:
        return Markup('<span class="muted">{}</span>').format(HIDDEN)
    if payload == "full":
        text: str = msgspec.json.encode(found).decode()
        return Markup("{}").format(text if len(text) <= _LINE_LETTERS else f"{text[:_LINE_LETTERS]}…")
    return _written(found, None, "")


def json_lines(data: bytes | object, payload: Payload) -> Markup:
    """JSON with a line for each value, as far as it may be shown."""
    found = _parsed(data, payload)
    return Markup('<span class="muted">{}</span>').format(HIDDEN) if found is _HIDDEN else _written(found, "\n", "")


class _Hidden:
    """Stands for what may not be shown at all."""


_HIDDEN: Final = _Hidden()


def _parsed(data: bytes | object, payload: Payload) -> Any:
    if payload == "none":
        return _HIDDEN
    found: Any = data
    if isinstance(data, bytes):
        try:
            found = msgspec.json.decode(data)
        except msgspec.MsgspecError:
            return f"{len(data):,} bytes that are not JSON"
    else:
        found = msgspec.to_builtins(data)
    return found if payload == "full" else masked(found)


def _written(value: Any, line: str | None, indent: str) -> Markup:
    """JSON as HTML, with a class for each kind of value."""
    deeper = indent + _INDENT
    first, between, last = (f"{line}{deeper}", f",{line}{deeper}", f"{line}{indent}") if line else ("", ", ", "")
    if isinstance(value, dict) and value:
        parts = [
            Markup('<span class="j-key">{}</span>: {}').format(_quoted(key), _written(each, line, deeper))
            for key, each in value.items()
        ]
        return Markup("{{{}{}{}}}").format(first, Markup(between).join(parts), last)
    if isinstance(value, list) and value:
        items = [_written(each, line, deeper) for each in value]
        return Markup("[{}{}{}]").format(first, Markup(between).join(items), last)
    if isinstance(value, Mask):
        return Markup('<span class="j-mask">{}</span>').format(value.kind)
    kind = "j-text" if isinstance(value, str) else "j-null" if value is None else "j-number"
    return Markup('<span class="{}">{}</span>').format(kind, escape(msgspec.json.encode(value).decode()))


def _quoted(key: object) -> str:
    return msgspec.json.encode(str(key)).decode()
