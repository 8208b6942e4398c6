"""The logger of the package: silent until a program asks to hear it."""

import logging
from typing import Final

__all__ = ["log"]

log: Final = logging.getLogger("act_fast")
log.addHandler(logging.NullHandler())
