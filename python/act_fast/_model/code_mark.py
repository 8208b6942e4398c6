"""What a function does, as data that is the same in every process that runs the same code, and another after a change.

What is looked at: the instructions, constants, defaults and closure of a function; the functions and constants that it
names, as far as they are the program's own; and methods and constants of the classes that it is given. Where code is,
and what its docstring says, does not count. What C code does cannot be seen.
"""

import dis
import enum
import functools
import hashlib
import sys
from collections.abc import Iterable, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import msgspec

__all__ = ["code_of"]

_FRAMEWORK: Final = __name__.partition(".")[0]
_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes)
_CALL: Final = "__call__"
_SKIPPED: Final = frozenset({"RESUME", "CACHE", "NOP"})


def code_of(function: Any, owners: Iterable[type] = ()) -> Any:
    """What a function does, as JSON.

    Args:
        function: anything that can be called.
        owners: the classes of its arguments, whose methods and constants it may use.
    """
    return _Reader(tuple(owners)).read(function, expand=True)


class _Reader:
    def __init__(self, owners: tuple[type, ...]) -> None:
        self._owners = owners
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._root = ""

    def read(self, value: Any, *, expand: bool = False) -> Any:
        if isinstance(value, enum.Enum):
            return ["enum", value.name, self.read(value.value)]
        if isinstance(value, _PLAIN):
            return [type(value).__name__, repr(value)]
        if isinstance(value, CodeType):
            return self._instructions(value)
        if isinstance(value, tuple):
            return ["tuple", [self.read(each) for each in value]]
        if isinstance(value, frozenset):  # one by one, as their order is another in each process
            return ["set", sorted(_digest(_Reader(self._owners).read(each)) for each in value)]
        # Whether constants that are equal are one object is another matter in each process; of these it is not.
        if id(value) in self._seen:
            return ["again", self._seen[id(value)]]
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        if isinstance(value, list):
            return ["list", [self.read(each) for each in value]]
        if isinstance(value, set):
            return self.read(frozenset(value))
        if isinstance(value, Mapping):
            return ["dict", [[self.read(key), self.read(each)] for key, each in value.items()]]
        return self._code(value, expand)

    def _code(self, value: Any, expand: bool) -> Any:
        if isinstance(value, functools.partial):
            return ["partial", self.read(value.func, expand=expand), self.read(value.args), self.read(value.keywords)]
        for inner in ("__func__", "func", "fget", "function"):  # of methods, properties, reducers and the like
            if not isinstance(value, type | FunctionType | ModuleType) and callable(getattr(value, inner, None)):
                return [type(value).__name__, self.read(getattr(value, inner), expand=expand)]
        if isinstance(value, FunctionType):
            return self._function(value, expand)
        if isinstance(value, type):
            members: list[Any] = list(value) if isinstance(value, enum.EnumMeta) else []
            return ["class", value.__name__, [self.read(each) for each in members]]
        if isinstance(value, ModuleType):
            return ["module", value.__name__]
        if isinstance(called := getattr(type(value), _CALL, None), FunctionType):
            return [type(value).__name__, self.read(called, expand=expand)]
        return ["other", type(value).__name__, getattr(value, "__qualname__", "")]

    def _function(self, function: FunctionType, expand: bool) -> Any:
        if function.__module__ and function.__module__.partition(".")[0] == _FRAMEWORK:
            return ["framework", function.__qualname__, self._closure(function, True)]
        if not expand and not self._own(function):
            return ["function", function.__qualname__]
        self._root = self._root or _package(function)
        names, attributes = _names(function.__code__)
        return [
            self._instructions(function.__code__),
            self.read(function.__defaults__ or ()),
            self.read(function.__kwdefaults__ or {}),
            self._closure(function, expand),
            [[name, self.read(function.__globals__[name])] for name in names if name in function.__globals__],
            [[name, self.read(found)] for name in attributes for found in self._members(name)],
        ]

    def _closure(self, function: FunctionType, expand: bool) -> Any:
        found = []
        for cell in function.__closure__ or ():
            try:
                found.append(self.read(cell.cell_contents, expand=expand))
            except ValueError:  # not yet filled
                found.append(None)
        return found

    def _own(self, function: FunctionType) -> bool:
        """Whether a function is the program's own, so that a change of it comes with a release of the program."""
        package, file = _package(function), function.__code__.co_filename
        foreign = package in sys.stdlib_module_names or "site-packages" in file or "dist-packages" in file
        return package == self._root or not foreign

    def _members(self, name: str) -> list[Any]:
        """What the classes of the arguments have under a name: methods and constants, but no fields."""
        found = []
        for owner in self._owners:
            for cls in owner.__mro__:
                if name in vars(cls):
                    if cls.__module__ not in ("builtins", "msgspec") and name not in owner.__struct_fields__:  # type: ignore[attr-defined]
                        found.append(vars(cls)[name])
                    break
        return found

    def _instructions(self, code: CodeType) -> Any:
        found: list[Any] = []
        for each in dis.get_instructions(code):
            if each.opname in _SKIPPED:
                continue
            if each.opcode in dis.hasconst:
                meant = self.read(each.argval)
            elif each.opcode in dis.hasname or each.opcode in dis.hasjrel or each.opcode in dis.hasjabs:
                meant = each.argval
            else:
                meant = each.arg
            found.append([each.opname, meant])
        return [found, code.co_argcount, code.co_kwonlyargcount, code.co_flags, code.co_exceptiontable.hex()]


def _names(code: CodeType) -> tuple[list[str], list[str]]:
    """The global names and the attributes that code uses, that within it included."""
    names: dict[str, None] = {}
    attributes: dict[str, None] = {}
    for each in dis.get_instructions(code):
        if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names[each.argval] = None
        elif each.opcode in dis.hasname:
            attributes[each.argval] = None
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            more_names, more_attributes = _names(inner)
            names |= dict.fromkeys(more_names)
            attributes |= dict.fromkeys(more_attributes)
    return list(names), list(attributes)


def _package(function: FunctionType | MethodType) -> str:
    return (function.__module__ or "").partition(".")[0]


def _digest(data: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(data)).hexdigest()
