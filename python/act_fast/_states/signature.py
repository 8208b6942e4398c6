"""Annotations in the words of the program that wrote them: `Amount`, not what `Amount` stands for."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["SaidBy"]

_PLAIN: Final = (type(None), bool, int, float, str)


class SaidBy:
    """How a function's own module would write what it is annotated with."""

    def __init__(self, function: Callable[..., Any], scope: Mapping[str, Any]) -> None:
        self._names = (scope, getattr(function, "__globals__", {}))

    def signature(self, parameters: list[inspect.Parameter]) -> str:
        """A list of parameters, in brackets."""
        said = [self._parameter(each) for each in parameters]
        named = [each.kind is each.KEYWORD_ONLY for each in parameters]
        if any(named):
            said.insert(named.index(True), "*")
        return f"({', '.join(said)})"

    def annotation(self, hint: Any) -> str:
        """An annotation."""
        if isinstance(hint, str):  # as it was written, the module says `from __future__ import annotations`
            return hint
        if hint is None or hint is types.NoneType:
            return "None"
        if isinstance(hint, type) and not typing.get_args(hint):
            return hint.__name__
        return self._name_of(hint) or self._spelled(hint)

    def _parameter(self, each: inspect.Parameter) -> str:
        said = f"{each.name}: {self.annotation(each.annotation)}"
        if each.default is each.empty:
            return said
        return f"{said} = {each.default!r}" if type(each.default) in _PLAIN else f"{said} = ..."

    def _name_of(self, hint: Any) -> str | None:
        """The name that an alias was given."""
        named = getattr(hint, "__name__", None) if type(hint).__name__ == "TypeAliasType" else None
        return named or next((name for names in self._names for name, what in names.items() if what is hint), None)

    def _spelled(self, hint: Any) -> str:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            return self.annotation(arguments[0])
        if origin in (typing.Union, types.UnionType):
            return " | ".join(self.annotation(each) for each in arguments)
        if origin is typing.Literal:
            return f"Literal[{', '.join(map(repr, arguments))}]"
        if isinstance(origin, type) and arguments:
            return f"{origin.__name__}[{', '.join(self.annotation(each) for each in arguments)}]"
        return str(hint).removeprefix("typing.")
