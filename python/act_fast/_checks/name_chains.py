"""The names that code uses, with the attributes that it takes of them: `datetime.now` and not `datetime` and `now`."""

import dis
from collections.abc import Iterator
from types import CodeType
from typing import Final

__all__ = ["chains_in", "codes_in", "stored_chains"]

_BASES: Final = frozenset(
    {
        "LOAD_NAME",
        "LOAD_GLOBAL",
        "LOAD_DEREF",
        "LOAD_CLASSDEREF",
        "LOAD_FROM_DICT_OR_DEREF",
        "LOAD_FROM_DICT_OR_GLOBALS",
        "IMPORT_NAME",
    }
)
_ATTRIBUTES: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"})
_STORES: Final = frozenset({"STORE_NAME", "STORE_GLOBAL", "STORE_FAST", "STORE_DEREF"})


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """Some code and that of the functions in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from codes_in(each)


def chains_in(code: CodeType) -> list[str]:
    """The names in some code and in the functions in it."""
    return [chain for each in codes_in(code) for _, chains in _steps(each) for chain in chains]


def stored_chains(code: CodeType) -> dict[str, list[list[str]]]:
    """For each name that some code gives a value, the names that the value is computed from, each time."""
    found: dict[str, list[list[str]]] = {}
    for name, chains in _steps(code, inner=True):
        if name is not None:
            found.setdefault(name, []).append(chains)
    return found


def _steps(code: CodeType, *, inner: bool = False) -> Iterator[tuple[str | None, list[str]]]:
    """What is computed in some code, one after the other: the name that it is given, if so, and what it is made of."""
    chains: list[str] = []
    imported: dict[str, str] = {}
    is_open = False
    module: str | None = None
    for each in dis.get_instructions(code):
        name = each.opname
        argument = each.argval
        was_open, is_open = is_open, False
        if name in _BASES or (name.startswith("LOAD_FAST") and argument in imported):
            chains.append(str(imported.get(argument, argument)))
            is_open = True
        elif name in _ATTRIBUTES:
            if was_open:
                chains[-1] += f".{argument}"
                is_open = name != "IMPORT_FROM"
        elif name in _STORES:
            if module is not None:
                imported[argument] = module
            yield argument, chains
            chains = []
        elif name == "STORE_SUBSCR":  # the annotation of what was stored before
            yield None, chains
            chains = []
        elif inner and isinstance(argument, CodeType):
            chains += chains_in(argument)
        module = str(argument) if name == "IMPORT_NAME" else None
    yield None, chains
