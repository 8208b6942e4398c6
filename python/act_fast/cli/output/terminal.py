"""Text on its way to a terminal, where what comes from data must not be able to command it.

Everything that is written to standard output and standard error is made visible on the way, whichever code writes it:
errors, tracebacks and what is logged too. Only what is coloured or moved on purpose goes past that, by `console`, and
its texts are made visible one by one.
"""

import io
import sys
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from act_fast._checks.extras import has

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "draws", "guard_terminals", "json_line", "visible"]

_KEPT = "\n\t"


def visible(text: str) -> str:
    """A text whose lines and tabs stay, while all else that is no printable character is written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _KEPT else c.encode("unicode_escape").decode() for c in text)


def json_line(encoded: bytes) -> str:
    """JSON for standard output: as it is; on a terminal, with what is no printable character as an escape of JSON's."""
    text = encoded.decode()
    if text.isprintable() or not sys.stdout.isatty():
        return text
    return "".join(c if c.isprintable() else _json_escape(c) for c in text)


def guard_terminals(*, stdout: bool = True) -> None:
    """Let whatever this process writes be visible from now on, where it goes to a terminal."""
    if stdout:
        sys.stdout = _guarded(sys.stdout)
    sys.stderr = _guarded(sys.stderr)


def draws() -> bool:
    """Whether standard output is a terminal, and Rich is installed, which draws tables and colours there."""
    return sys.stdout.isatty() and has("rich")


def console(*, stderr: bool = False, soft_wrap: bool = False) -> "Console":
    """A console for colours and tables; the texts that it is given must be visible already."""
    from rich.console import Console  # it takes a while to import, and a pipe has no use for it

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=cast("IO[str]", getattr(stream, "raw", stream)), highlight=False, soft_wrap=soft_wrap)


class _Guarded:
    """A terminal that is only ever given what is visible."""

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw
        self.rich_proxied_file = raw  # where Rich writes, whose consoles go past this

    def write(self, text: str) -> int:
        self.raw.write(visible(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def _guarded(stream: TextIO) -> TextIO:
    if isinstance(stream, _Guarded) or not _is_terminal(stream):
        return stream
    return cast("TextIO", _Guarded(stream))


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (ValueError, io.UnsupportedOperation):  # closed
        return False


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
