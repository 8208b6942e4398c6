"""Whether code that is to be called runs when it is called, and whose failure it is when it raises."""

import functools
import inspect
import threading
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

__all__ = ["called", "discard", "is_async", "is_failure", "is_generator", "is_unrun", "unplain"]

_UNRUN: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)


def is_async(function: Callable[..., object]) -> bool:
    """Whether calling something gives a coroutine, as far as can be seen."""
    return _any(inspect.iscoroutinefunction, function)


def is_generator(function: Callable[..., object]) -> bool:
    """Whether calling something only prepares to run it, because there is a `yield` in it, as far as can be seen."""
    return _any(inspect.isgeneratorfunction, function) or _any(inspect.isasyncgenfunction, function)


def unplain(function: Callable[..., object]) -> str | None:
    """Why calling something would not run its body, in words; None when it would, as far as can be seen."""
    if is_generator(function):
        return "this one has a `yield` in it, so its body would not run"
    return "this one is `async def`, so its body would not run" if is_async(function) else None


def is_unrun(found: object) -> bool:
    """Whether what a call gave is the call itself, still to be run: a coroutine, a generator, something to await."""
    return found is not None and (isinstance(found, _UNRUN) or hasattr(type(found), "__await__"))


def called(found: object) -> str:
    """What a call gave, in words."""
    if isinstance(found, CoroutineType):
        return "a coroutine"
    if isinstance(found, GeneratorType | AsyncGeneratorType):
        return "a generator"
    return type(found).__name__


def discard(found: object) -> None:
    """Let go of something that was never run, without a warning that it was not."""
    if isinstance(found, CoroutineType | GeneratorType):
        found.close()


def is_failure(error: BaseException) -> bool:
    """Whether an exception that came out of somebody's code is a failure of that code, whatever its class.

    Ctrl-C, which comes to the main thread and to no other, is not: it is meant for the whole program.
    """
    return not isinstance(error, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread()


def _any(test: Callable[[Any], bool], function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return test(function) or test(type(function).__call__)
