"""Wrappers: whether one gives back, or drops, the call of what it wraps without running it."""

import ast
import contextlib
import functools
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

__all__ = ["passes_on"]


def _code(function: Any) -> CodeType:
    return function.__code__  # type: ignore[no-any-return]


def _nothing(_: Any) -> Any: ...


_DISPATCH: Final = _code(functools.singledispatch(_nothing))
_MANAGERS: Final = (_code(contextlib.contextmanager(_nothing)), _code(contextlib.asynccontextmanager(_nothing)))
_CACHED: Final = type(functools.lru_cache(_nothing))


def passes_on(what: Any) -> list[Callable[..., Any]]:
    """What a wrapper calls without doing anything with the result, as far as can be told for certain.

    A wrapper names what it wraps in `__wrapped__`, as `functools.wraps` lets it, and its source is at hand. One that
    does something with what the call gave, such as `list(...)`, may run it.
    """
    if isinstance(what, MethodType):
        return passes_on(what.__func__)
    wrapped = getattr(what, "__dict__", {}).get("__wrapped__")
    if wrapped is None:
        return []
    if isinstance(what, _CACHED):
        return [wrapped]
    if isinstance(what, FunctionType):
        if what.__code__ is _DISPATCH:
            return list(what.registry.values())  # type: ignore[attr-defined]
        cells = zip(what.__code__.co_freevars, what.__closure__ or (), strict=True)
        names = {name for name, cell in cells if _is_in(cell, wrapped)}
        sure = what.__code__ in _MANAGERS or _only_passes(what.__code__, lambda called: _name(called) in names)
        return [wrapped] if sure else []
    call = type(what).__call__
    if not isinstance(call, FunctionType):
        return []
    own = {name for name, value in vars(what).items() if value is wrapped}
    return [wrapped] if _only_passes(call.__code__, lambda called: _own_name(called) in own) else []


def _is_in(cell: Any, wrapped: object) -> bool:
    try:
        return cell.cell_contents is wrapped
    except ValueError:  # not filled yet
        return False


def _name(called: ast.expr) -> str | None:
    return called.id if isinstance(called, ast.Name) else None


def _own_name(called: ast.expr) -> str | None:
    own = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "self"
    return called.attr if own else None  # type: ignore[attr-defined]


def _only_passes(code: CodeType, wrapped: Callable[[ast.expr], bool]) -> bool:
    """Whether all that a function does with what the calls of `wrapped` give is to return it, or to drop it."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, SyntaxError, ValueError):
        return False
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    function = next((each for each in functions if each.name == code.co_name), None)
    if function is None:
        return False
    above = {below: each for each in ast.walk(function) for below in ast.iter_child_nodes(each)}
    calls = [each for each in above if isinstance(each, ast.Call) and wrapped(each.func)]
    return bool(calls) and all(_is_passed(each, above, function) for each in calls)


def _is_passed(value: ast.AST, above: dict[ast.AST, ast.AST], function: ast.AST) -> bool:
    use = above[value]
    while isinstance(use, ast.IfExp) and value is not use.test:
        value, use = use, above[use]
    if isinstance(use, ast.Return | ast.Expr):
        return _is_within(use, above, function)
    if not isinstance(use, ast.Assign) or len(use.targets) != 1 or (name := _name(use.targets[0])) is None:
        return False
    read = [each for each in above if isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load)]
    return all(isinstance(above[each], ast.Return) and _is_within(above[each], above, function) for each in read)


def _is_within(statement: ast.AST, above: dict[ast.AST, ast.AST], function: ast.AST) -> bool:
    """Whether a statement is the function's own, not one of a function in it."""
    while (statement := above[statement]) is not function:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return False
    return True
