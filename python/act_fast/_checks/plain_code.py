"""Whether code that is to be called runs when it is called, and whose failure it is when it raises."""

import functools
import inspect
import threading
from collections.abc import Callable, Iterable
from contextlib import asynccontextmanager, contextmanager
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
    WrapperDescriptorType,
)
from typing import Any, Final

from act_fast._checks.wrapping import passes_on

__all__ = ["called", "discard", "gives_async", "is_async", "is_failure", "is_generator", "is_unrun", "unplain"]


def _nothing() -> Any:
    yield


# `contextmanager` gives a generator in disguise; `map` and `filter` call nothing until they are gone through.
_MANAGERS: Final = (type(contextmanager(_nothing)()), type(asynccontextmanager(_nothing)()))
_UNRUN: Final = (CoroutineType, GeneratorType, AsyncGeneratorType, *_MANAGERS, map, filter)


def is_async(function: Callable[..., object]) -> bool:
    """Whether something is `async def`, as far as can be seen."""
    return _any(inspect.iscoroutinefunction, function, _reached)


def is_generator(function: Callable[..., object]) -> bool:
    """Whether calling something only prepares to run it, because there is a `yield` in it, as far as can be seen."""
    return _any(_yields, function, _passed)


def gives_async(function: Callable[..., object]) -> bool:
    """Whether what calling something gives has to be awaited or gone through with `async for`, as far as can be seen.

    That is so of a wrapper, too, that is no `async def` itself.
    """
    return _any(_is_async, function, _passed)


def unplain(function: Callable[..., object]) -> str | None:
    """Why calling something would not run its body, in words; None when it would, as far as can be seen."""
    if is_generator(function):
        return "this one has a `yield` in it, so its body would not run"
    return "this one is `async def`, so its body would not run" if gives_async(function) else None


def is_unrun(found: object) -> bool:
    """Whether what a call gave is the call itself, still to be run: a coroutine, a generator, something to await."""
    return found is not None and (isinstance(found, _UNRUN) or hasattr(type(found), "__await__"))


def called(found: object) -> str:
    """What a call gave, in words."""
    if isinstance(found, CoroutineType):
        return "a coroutine"
    if isinstance(found, GeneratorType | AsyncGeneratorType | _MANAGERS[0] | _MANAGERS[1]):
        return "a generator"
    return type(found).__name__


def discard(found: object) -> None:
    """Let go of something that was never run, without a warning that it was not."""
    if isinstance(found, CoroutineType | GeneratorType):
        found.close()


def is_failure(error: BaseException) -> bool:
    """Whether an exception raised by the user's code is a failure of that code, whatever its class.

    Ctrl-C, which comes to the main thread and to no other, is not: it is meant for the whole program.
    """
    return not isinstance(error, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread()


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _yields(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _any(test: Callable[[Any], bool], function: Any, further: Callable[[Any], Iterable[Any]]) -> bool:
    """Whether something, or what a call of it ends in, is of a kind."""
    rest, seen = [function], set[int]()
    while rest:
        each = rest.pop()
        if id(each) not in seen:
            if test(each):
                return True
            seen.add(id(each))
            rest.extend(further(each))
    return False


def _reached(function: Any) -> list[Any]:
    """What Python itself calls when something is called."""
    if isinstance(function, functools.partial):
        return [function.func]
    if isinstance(function, staticmethod | MethodType):
        return [function.__func__]
    if isinstance(function, type | FunctionType | BuiltinFunctionType):
        return []
    call = type(function).__call__
    return [] if isinstance(call, WrapperDescriptorType) else [call]


def _passed(function: Any) -> list[Any]:
    """The same, and what a wrapper calls without looking at what that gave."""
    return [*_reached(function), *passes_on(function)]
