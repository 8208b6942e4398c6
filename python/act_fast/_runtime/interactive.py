"""Code that a person types: in a notebook, or at a prompt."""

import sys
from collections.abc import Callable

__all__ = ["called_alike", "is_interactive", "note"]


def is_interactive(code: Callable[..., object]) -> bool:
    """Whether something was written in a cell or at a prompt, so that it may be written again."""
    return getattr(code, "__module__", None) == "__main__" and hasattr(sys, "ps1")


def called_alike(one: Callable[..., object], other: Callable[..., object]) -> bool:
    """Whether two functions have the same name, and so may be two versions of one."""
    name: object = getattr(one, "__qualname__", None)
    return name is not None and name != "<lambda>" and name == getattr(other, "__qualname__", None)


def note(text: str) -> None:
    """Tell the person who types."""
    print(f"act-fast: {text}", file=sys.stderr)
