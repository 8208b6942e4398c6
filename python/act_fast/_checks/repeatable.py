"""Whether code that runs at each reading asks for the time or for chance, and so gives another result each time."""

import datetime
import random
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

__all__ = ["asks_for"]

_CLOCKS: Final = frozenset({"now", "utcnow", "today"})
_OF_MODULES: Final[dict[ModuleType, frozenset[str]]] = {
    time: frozenset({"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}),
    uuid: frozenset({"uuid1", "uuid4", "uuid6", "uuid7"}),
    random: frozenset({"random", "randint", "randrange", "choice", "choices", "sample", "shuffle", "uniform", "gauss"}),
    secrets: frozenset({"token_hex", "token_bytes", "token_urlsafe", "choice", "randbelow", "randbits"}),
    datetime: _CLOCKS,
}
_FUNCTIONS: Final = {
    id(getattr(module, name)): f"{module.__name__}.{name}"
    for module, names in _OF_MODULES.items()
    for name in names
    if hasattr(module, name)
}
_CLASSES: Final = (datetime.datetime, datetime.date)


def asks_for(function: Callable[..., Any]) -> str | None:
    """What a function, or one of its module that it calls, asks for; None when it is not seen to."""
    return _asks(function, set())


def _asks(function: Any, seen: set[int]) -> str | None:
    if not isinstance(function, FunctionType) or id(function) in seen:
        return None
    seen.add(id(function))
    for code in _codes(function.__code__):
        for name in code.co_names:
            known: Any = function.__globals__.get(name)
            if id(known) in _FUNCTIONS:
                return _FUNCTIONS[id(known)]
            if isinstance(known, ModuleType) and known in _OF_MODULES:
                used = _OF_MODULES[known].intersection(code.co_names)
                if used:
                    return f"{known.__name__}.{min(used)}"
            if any(known is each for each in _CLASSES) and (used := _CLOCKS.intersection(code.co_names)):
                return f"{known.__name__}.{min(used)}"
            own = isinstance(known, FunctionType) and known.__module__ == function.__module__
            if own and (found := _asks(known, seen)) is not None:
                return found
    return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)
