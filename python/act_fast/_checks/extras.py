"""What an extra of the package brings, and what is said where it is missing."""

import sys
from importlib.util import find_spec
from typing import Final

from act_fast.errors import MissingExtraError

__all__ = ["has", "missing", "need"]

_EXTRAS: Final = {
    "cronsim": "cron",
    "cryptography": "privacy",
    "duckdb": "sql",
    "fsspec": "sql",
    "httpx": "webhooks",
    "jinja2": "inspect",
    "opentelemetry.metrics": "otel",
    "rich": "cli",
    "starlette": "serve",
    "uvicorn": "serve",
}
"""Which extra brings a module."""


def has(module: str) -> bool:
    """Whether a module can be imported. It is not imported for that."""
    try:
        return sys.modules.get(module) is not None or find_spec(module) is not None
    except ModuleNotFoundError:  # what it is in is missing
        return False


def need(what: str, *modules: str, extra: str | None = None) -> None:
    """Make sure that modules can be imported.

    Args:
        what: what needs them, as the beginning of a sentence.
        modules: their names.
        extra: the extra that brings them all, where several bring one.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    for module in modules:
        if not has(module):
            raise missing(what, module, extra or _EXTRAS[module])


def missing(what: str, module: str, extra: str) -> MissingExtraError:
    """The error that says what to install."""
    return MissingExtraError(
        f"{what} needs {module}, which is not installed; pip install 'act-fast[{extra}]'", module, extra
    )
