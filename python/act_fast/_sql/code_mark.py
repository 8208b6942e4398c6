"""The code that has a say in what an event means: what was written down under other code is not used."""

import hashlib
from types import CodeType
from typing import Any

__all__ = ["code_of"]


def code_of(event: type[Any]) -> list[str]:
    """A mark of each function that decoding an event may call: its upcasters, those of the classes they take, hooks.

    What these functions call in turn is not looked into.
    """
    found = []
    seen: list[type[Any]] = []
    waiting = [event]
    while waiting:
        cls = waiting.pop()
        if cls in seen:
            continue
        seen.append(cls)
        hook = getattr(cls, "__post_init__", None)
        if hook is not None and hasattr(hook, "__code__"):
            found.append(_mark(hook.__code__))
        for name, upcast in sorted(getattr(cls, "__upcasts__", {}).items()):
            found.append(f"{name} {_mark(upcast.function.__code__)}")
            takes, _ = upcast._hints()
            if isinstance(takes, type) and hasattr(takes, "__upcasts__"):
                waiting.append(takes)
    return found


def _mark(code: CodeType) -> str:
    """Of what a function does, wherever its lines are."""
    parts: list[str] = [code.co_code.hex(), repr(code.co_names)]
    parts += [_mark(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
