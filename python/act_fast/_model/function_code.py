"""What a function does, as data that is the same in every process that runs the same code, and another after a change.

What is looked at: the instructions, constants, defaults and closure of a function; the functions and constants that it
names, as far as they are the program's own, also through its modules and classes; and methods and constants of the
classes that it is given. Where code is, and what its docstring says, does not count. What C code does cannot be seen,
and what an object holds that can change is not a constant.
"""

import dataclasses
import dis
import enum
import functools
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final
from uuid import UUID

import msgspec

__all__ = ["code_of"]

_FRAMEWORK: Final = __name__.partition(".")[0]
_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes)
_VALUES: Final = (date, time, timedelta, tzinfo, Decimal, Fraction, UUID, range)
_CALL: Final = "__call__"
_MAKING: Final = ("__new__", "__init__", "__post_init__", _CALL)
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
        self._used: list[type | ModuleType] = []
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._root = ""

    def read(self, value: Any, *, expand: bool = False) -> Any:
        if isinstance(value, enum.Enum):
            return ["enum", value.name, self.read(value.value)]
        if isinstance(value, _PLAIN):
            return [type(value).__name__, repr(value)]
        if isinstance(value, _VALUES):
            return [type(value).__name__, repr(value)]
        if isinstance(value, re.Pattern):
            return ["pattern", self.read(value.pattern), value.flags]
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
        for inner in ("__func__", "func", "fget", "function", "__wrapped__"):  # of methods, properties, caches and such
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
            return [type(value).__name__, self.read(called, expand=expand), *self._held(value)]
        if held := self._held(value):
            return [type(value).__name__, *held]
        return ["other", type(value).__name__, getattr(value, "__qualname__", "")]

    def _function(self, function: FunctionType, expand: bool) -> Any:
        if function.__module__ and function.__module__.partition(".")[0] == _FRAMEWORK:
            return ["framework", function.__qualname__, self._closure(function, True)]
        if not expand and not self._own(function):
            return ["function", function.__qualname__]
        self._root = self._root or _package(function)
        names, attributes = _names(function.__code__)
        for name in names:
            self._use(function.__globals__.get(name))
        return [
            self._instructions(function.__code__),
            self.read(function.__defaults__ or ()),
            self.read(function.__kwdefaults__ or {}),
            self._closure(function, expand),
            [[name, self.read(function.__globals__[name])] for name in names if name in function.__globals__],
            [[name, self.read(found)] for name in (*attributes, *_MAKING) for found in self._members(name)],
            *self._dispatched(function),
        ]

    def _held(self, value: Any) -> list[Any]:
        """What a value holds that cannot change: the fields of frozen structs and dataclasses."""
        kind = type(value)
        if isinstance(value, msgspec.Struct) and kind.__struct_config__.frozen:
            return [[self.read(getattr(value, name)) for name in kind.__struct_fields__]]
        if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            return [[self.read(getattr(value, each.name)) for each in dataclasses.fields(kind)]]
        return []

    def _dispatched(self, function: FunctionType) -> list[Any]:
        """What a `singledispatch` chooses from."""
        registry = getattr(function, "registry", None)
        return [self.read(registry)] if isinstance(registry, Mapping) else []

    def _use(self, value: Any) -> None:
        """Look for attributes in what a function names: a module or class of the program, or an object of one."""
        scope = value if isinstance(value, ModuleType | type) else type(value)
        if scope not in self._used and scope not in self._owners and self._is_own(scope):
            self._used.append(scope)

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
        return self._is_of_program(_package(function), function.__code__.co_filename)

    def _is_own(self, scope: type | ModuleType) -> bool:
        """Whether a module or class is the program's own, and none of the framework."""
        module = scope if isinstance(scope, ModuleType) else sys.modules.get(scope.__module__)
        name = scope.__name__ if isinstance(scope, ModuleType) else scope.__module__
        package = name.partition(".")[0]
        return package != _FRAMEWORK and self._is_of_program(package, getattr(module, "__file__", None) or "")

    def _is_of_program(self, package: str, file: str) -> bool:
        foreign = package in sys.stdlib_module_names or "site-packages" in file or "dist-packages" in file
        return package == self._root or not foreign

    def _members(self, name: str) -> list[Any]:
        """What an attribute may mean: methods and constants of the classes of the arguments, and of what was named."""
        found = [] if name in _MAKING else self._members_of_owners(name)
        for scope in self._used:
            spaces = [scope] if isinstance(scope, ModuleType) else [cls for cls in scope.__mro__ if self._is_own(cls)]
            space = next((each for each in spaces if name in vars(each)), None)
            if space is not None and name not in getattr(scope, "__struct_fields__", ()):
                found.append(vars(space)[name])
        return found

    def _members_of_owners(self, name: str) -> list[Any]:
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
    from hashlib import sha256

    return sha256(msgspec.json.encode(data)).hexdigest()
