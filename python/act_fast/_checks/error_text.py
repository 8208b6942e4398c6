"""An exception in words, whatever it is."""

from typing import Final

__all__ = ["error_text"]

_LETTERS_MAX: Final = 2000


def error_text(error: BaseException) -> str:
    """An exception as `ValueError: what it says`, fit to be stored."""
    try:
        said = str(error)
    except Exception:
        said = "it cannot say what went wrong"
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return text[:_LETTERS_MAX].encode("utf-8", "replace").decode()
