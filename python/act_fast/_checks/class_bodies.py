"""The body of a class statement: what the values in it were computed from, as its bytecode tells."""

import builtins
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from enum import EnumType
from functools import cached_property
from types import CodeType, FrameType, ModuleType
from typing import Any, Final
from uuid import UUID

from act_fast._checks.name_chains import codes_in, stored_chains
from act_fast._checks.repeatable import asks_among

__all__ = ["Body", "body_at", "body_of"]

_CODE: Final = (ModuleType, type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)

_KEPT: Final = 4
_VALUES: Final = (str, bytes, int, float, UUID, date, time, tuple)


class Body:
    """A class statement as it was run.

    Args:
        code: its body.
        around: the code that it stands in, from the inside to the outside.
        names: what names meant where it was run, from the inside to the outside.
        package: the first part of its module's name.
    """

    def __init__(
        self, code: CodeType, around: Sequence[CodeType], names: Sequence[Mapping[str, Any]], package: str
    ) -> None:
        self._around = around
        self._names = (*names, vars(builtins))
        self._package = package
        self._code = code

    @cached_property
    def _written(self) -> dict[str, list[list[str]]]:
        return stored_chains(self._code)

    def asks(self, name: str) -> str | None:
        """What the value of a name asks for, as far as is seen; the value of a variable that it uses, too."""
        found = [self._asks(each, {name}) for each in self._written.get(name, ())]
        return next((each for each in found if each is not None), None)

    def writes_out(self, name: str) -> bool:
        """Whether the value of a name is computed here from nothing that comes from elsewhere but code."""
        there = self._written.get(name, ())
        return bool(there) and all(self._is_written_out(each, {name}) for each in there)

    def _asks(self, chains: list[str], seen: set[str]) -> str | None:
        asked = asks_among(chains, self._lookup, self._package, set())
        if asked is not None:
            return asked
        for name in self._variables(chains, seen):
            for each in self._computed(name):
                if (asked := self._asks(each, seen)) is not None:
                    return asked
        return None

    def _is_written_out(self, chains: list[str], seen: set[str]) -> bool:
        if any(map(self._takes_value, chains)):
            return False
        for name in self._variables(chains, seen):
            computed = self._computed(name)
            if not computed or not all(self._is_written_out(each, seen) for each in computed):
                return False
        return True

    def _takes_value(self, chain: str) -> bool:
        """Whether a name is that of a value which a module or a class holds."""
        first, *after = chain.split(".")
        known = self._lookup(first)
        while isinstance(known, ModuleType | type) and not isinstance(known, EnumType) and after:
            known = vars(known).get(after.pop(0))
            if isinstance(known, _VALUES):
                return True
        return False

    def _variables(self, chains: list[str], seen: set[str]) -> Iterator[str]:
        """The names that stand for a value and not for code."""
        for name in (chain.partition(".")[0] for chain in chains):
            known = self._lookup(name)
            if known is not None and name not in seen and not isinstance(known, _CODE):
                seen.add(name)
                yield name

    def _computed(self, name: str) -> list[list[str]]:
        """The names that the value of a variable was computed from, wherever around here it was."""
        if name in self._written:
            return self._written[name]
        return next((found for code in self._around if (found := _stores(code).get(name))), [])

    def _lookup(self, name: str) -> Any:
        return next((names[name] for names in self._names if name in names), None)


def body_at(frame: FrameType, namespace: Mapping[str, Any]) -> Body | None:
    """The class statement that a frame is at; None where the class is made in another way."""
    codes = [each for each in frame.f_code.co_consts if isinstance(each, CodeType)]
    found = [each for each in codes if each.co_qualname == namespace.get("__qualname__")]
    before = [each for each in found if each.co_firstlineno <= frame.f_lineno]
    if not before:
        return None
    code = max(before, key=lambda each: each.co_firstlineno)
    module = str(frame.f_globals.get("__name__"))
    inside = frame.f_locals is not frame.f_globals
    around = [frame.f_code, *([outer] if inside and (outer := _code_of(module)) else [])]
    return Body(code, around, (namespace, frame.f_locals, frame.f_globals), module.partition(".")[0])


def body_of(cls: type) -> Body | None:
    """The class statement that a class was made by, if it can be found once more in the code of its module."""
    module = _code_of(cls.__module__)
    if module is None:
        return None
    found = [each for each in codes_in(module) if each.co_qualname == cls.__qualname__]
    names = (vars(cls), vars(sys.modules[cls.__module__]))
    return Body(found[-1], (module,), names, cls.__module__.partition(".")[0]) if found else None


_read: dict[str, CodeType | None] = {}
_kept: list[tuple[CodeType, dict[str, list[list[str]]]]] = []


def _code_of(module: str) -> CodeType | None:
    """The code of a module, read once more; that of the last one is kept, as classes are made one module at a time."""
    if module not in _read:
        _read.clear()
        _read[module] = _code_again(module)
    return _read[module]


def _code_again(module: str) -> CodeType | None:
    found = sys.modules.get(module)
    loader: Any = getattr(getattr(found, "__spec__", None), "loader", None)
    try:
        if hasattr(loader, "get_code"):
            code: CodeType | None = loader.get_code(module)
            return code
        path = getattr(found, "__file__", None) or ""
        with open(path, "rb") as file:
            return compile(file.read(), path, "exec", dont_inherit=True)
    except (OSError, ImportError, SyntaxError, ValueError):
        return None


def _stores(code: CodeType) -> dict[str, list[list[str]]]:
    """For each name that some code gives a value, the names that it is computed from, attributes too."""
    found = next((stores for each, stores in _kept if each is code), None)
    if found is None:
        found = stored_chains(code)
        _kept.append((code, found))
        del _kept[:-_KEPT]
    return found
