"""What is logged, on standard error: lines for people, or JSON for what collects them."""

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from act_fast._runtime.logger import log

__all__ = ["FORMATS", "LEVELS", "Format", "Level", "json_record", "log_to_stderr"]

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

Format: TypeAlias = Literal["text", "json"]

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error")
_FORMAT: Final = "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"


def log_to_stderr(level: Level, format: Format = "text") -> None:
    """Log from a level on. Where the program has set up logging of its own, that is where it goes."""
    log.setLevel(level.upper())
    if log.hasHandlers() and any(not isinstance(each, logging.NullHandler) for each in _handlers()):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if format == "json" else logging.Formatter(_FORMAT))
    logging.getLogger().addHandler(handler)


def _handlers() -> list[logging.Handler]:
    return [*log.handlers, *logging.getLogger().handlers]


class _JsonFormatter(logging.Formatter):
    """Each record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        error = record.exc_info[1] if record.exc_info else None
        made = datetime.fromtimestamp(record.created, UTC)
        return json_record(made, record.levelname, record.name, record.getMessage(), record.process, error)


def json_record(
    made: datetime, level: str, logger: str, message: str, process: int | None, error: BaseException | None = None
) -> str:
    """One line of JSON about something that has happened."""
    said: dict[str, Any] = {
        "time": made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level.lower(),
        "logger": logger,
        "process": process,
        "message": message,
    }
    if error is not None:
        said["error"] = type(error).__qualname__
        said["traceback"] = "".join(traceback.format_exception(error))
    return _line(said)


def _line(said: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(said).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which no UTF-8 can hold
        return _line({name: _spelled_out(value) for name, value in said.items()})


def _spelled_out(value: Any) -> Any:
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
