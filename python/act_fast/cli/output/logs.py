"""What is logged, on standard error."""

import logging
import sys
from typing import Final, Literal, TypeAlias

from act_fast._runtime.logger import log

__all__ = ["LEVELS", "Level", "log_to_stderr"]

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

LEVELS: Final = ("debug", "info", "warning", "error")
_FORMAT: Final = "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"


def log_to_stderr(level: Level) -> None:
    """Log from a level on. Where the program has set up logging of its own, that is where it goes."""
    log.setLevel(level.upper())
    if log.hasHandlers() and any(not isinstance(each, logging.NullHandler) for each in _handlers()):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.getLogger().addHandler(handler)


def _handlers() -> list[logging.Handler]:
    return [*log.handlers, *logging.getLogger().handlers]
