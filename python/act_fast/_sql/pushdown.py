"""Conditions that the log answers by itself, without reading what they exclude."""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from act_fast._rows import Filter
from act_fast._sql.scan import Condition

__all__ = ["Bounds"]

_STREAM_BYTES_MAX: Final = 512
_PATTERN_BYTES_MAX: Final = 4096
_COUNT_MAX: Final = 2**62


@dataclass(frozen=True)
class Bounds:
    """Which events are meant: those that meet all of this. All bounds are exclusive; None: no bound."""

    after: int = 0
    before: int | None = None
    names: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None
    created_after_us: int | None = None
    created_before_us: int | None = None
    correlation: str | None = None
    nothing: bool = False

    def within(self, what: str | int | None, condition: Condition) -> "Bounds | None":
        """These bounds and a condition on what a column holds; None when the log cannot tell.

        Args:
            what: what the column holds, as the core calls it.
            condition: what is asked of it.
        """
        _, op, value = condition
        match what:
            case "position" if type(value) is int and abs(value) < _COUNT_MAX:
                return self._positions(op, value)
            case "created" if type(value) is int and abs(value) < _COUNT_MAX:
                return self._created(op, value)
            case "stream":
                return self._streams(op, value)
            case "name":
                texts = _texts(op, value)
                return None if texts is None else replace(self, names=_both(self.names, texts))
            case "correlation" if op == "=" and isinstance(value, str):
                other = self.correlation is not None and self.correlation != value
                return replace(self, correlation=value, nothing=self.nothing or other)
            case _:
                return None

    def for_log(self) -> Filter:
        """The same, as the log's verbs take it."""
        found: Filter = {
            "after": self.after,
            "before": self.before,
            "names": () if self.nothing else self.names,
            "created_after_us": self.created_after_us,
            "created_before_us": self.created_before_us,
            "correlation": self.correlation,
        }
        if self.streams is not None and not self.nothing:
            match self.streams:
                case []:
                    found["names"] = ()
                case [stream]:
                    found["stream"] = stream
                case _:
                    found["pattern"] = pattern_of(self.streams)
        return found

    def _positions(self, op: str, value: int) -> "Bounds | None":
        above = {">": value, ">=": value - 1, "=": value - 1}.get(op)
        below = {"<": value, "<=": value + 1, "=": value + 1}.get(op)
        if above is None and below is None:
            return None
        after = self.after if above is None else max(self.after, above)
        before = self.before if below is None else max(0, below if self.before is None else min(self.before, below))
        return replace(self, after=after, before=before)

    def _created(self, op: str, value: int) -> "Bounds | None":
        above = {">": value, ">=": value - 1, "=": value - 1}.get(op)
        below = {"<": value, "<=": value + 1, "=": value + 1}.get(op)
        if above is None and below is None:
            return None
        later = max((each for each in (self.created_after_us, above) if each is not None), default=None)
        earlier = min((each for each in (self.created_before_us, below) if each is not None), default=None)
        return replace(self, created_after_us=later, created_before_us=earlier)

    def _streams(self, op: str, value: Any) -> "Bounds | None":
        texts = _texts(op, value)
        if texts is None or not all(map(_may_be_stream, texts)):
            return None
        if len(texts) > 1 and len(pattern_of(texts).encode()) > _PATTERN_BYTES_MAX:
            return None
        return replace(self, streams=_both(self.streams, texts))


def pattern_of(streams: tuple[str, ...]) -> str:
    """The regular expression that finds these streams and no others."""
    return f"^(?:{'|'.join(map(re.escape, streams))})$"


def _texts(op: str, value: Any) -> tuple[str, ...] | None:
    values = (value,) if op == "=" else tuple(value) if op == "in" else ()
    return values if values and all(isinstance(each, str) for each in values) else None


def _both(known: tuple[str, ...] | None, texts: tuple[str, ...]) -> tuple[str, ...]:
    texts = tuple(dict.fromkeys(texts))
    return texts if known is None else tuple(each for each in known if each in texts)


def _may_be_stream(text: str) -> bool:
    return 0 < len(text.encode()) <= _STREAM_BYTES_MAX and "\0" not in text and "\n" not in text
