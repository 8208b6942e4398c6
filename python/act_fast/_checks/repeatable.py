"""Whether code asks for the time, for chance or for what is around the process: its result is another one each time."""

import builtins
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final, TypeAlias

from act_fast._checks.name_chains import chains_in

__all__ = ["Lookup", "asks_among", "asks_for"]

Lookup: TypeAlias = Callable[[str], Any]
"""What a name means in some code; None when it means nothing."""

_CLOCKS: Final = frozenset({"now", "utcnow", "today"})
_RANDOM: Final = """
    betavariate binomialvariate choice choices expovariate gammavariate gauss getrandbits lognormvariate normalvariate
    paretovariate randbytes randint random randrange sample shuffle triangular uniform vonmisesvariate weibullvariate
"""
_ASKED: Final[dict[str, frozenset[str]]] = {
    module: frozenset(names.split())
    for module, names in {
        "time": """
            monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time thread_time_ns
            time time_ns clock_gettime clock_gettime_ns
        """,
        "uuid": "getnode uuid1 uuid4 uuid6 uuid7",
        "random": _RANDOM,
        "secrets": "choice randbelow randbits token_bytes token_hex token_urlsafe",
        "os": """
            cpu_count environ environb getcwd getcwdb getegid getenv getenvb geteuid getgid getloadavg getlogin getpgid
            getpid getppid getrandom getuid listdir scandir stat times uname urandom
        """,
        "socket": "getfqdn gethostname",
        "platform": "node platform release uname version",
        "getpass": "getpass getuser",
        "tempfile": "gettempdir mkdtemp mkstemp mktemp",
        "threading": "get_ident get_native_id",
        "sys": "argv",
    }.items()
}
_UNLESS_TOLD: Final[dict[str, frozenset[str]]] = {
    "time": frozenset({"asctime", "ctime", "gmtime", "localtime", "strftime"}),
    "random": frozenset({"Random", "SystemRandom"}),
    "builtins": frozenset({"id", "input", "next", "open"}),
}
"""What asks only when it is not told, or is of use on what an event holds: no default has use for it."""
_SAME: Final = {"posix": "os", "nt": "os", "_socket": "socket", "_thread": "threading", "_random": "random"}


def asks_for(function: Callable[..., Any]) -> str | None:
    """What a function, or one of its module that it calls, asks for; None when it is not seen to."""
    return _asks(function, set(), False)


def asks_among(chains: Iterable[str], lookup: Lookup, package: str, seen: set[int]) -> str | None:
    """What an expression of a default asks for, or a function of its package that it names.

    Args:
        chains: the names in it, with their attributes.
        lookup: what they mean.
        package: the first part of its module's name.
        seen: functions that were looked at, by id.
    """
    return _among(chains, lookup, lambda known: known.__module__.partition(".")[0] == package, seen, True)


def _asks(function: Any, seen: set[int], strict: bool) -> str | None:
    if not isinstance(function, FunctionType) or id(function) in seen:
        return None
    seen.add(id(function))
    held = dict(_held(function))

    def lookup(name: str) -> Any:
        return held.get(name, function.__globals__.get(name, getattr(builtins, name, None)))

    return _among(
        chains_in(function.__code__), lookup, lambda known: known.__module__ == function.__module__, seen, strict
    )


def _held(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _among(
    chains: Iterable[str], lookup: Lookup, own: Callable[[FunctionType], bool], seen: set[int], strict: bool
) -> str | None:
    for chain in dict.fromkeys(chains):
        known, after = _meant(chain, lookup)
        if isinstance(known, ModuleType):
            if after in _asked_of(known.__name__, strict):
                return f"{known.__name__}.{after}"
        elif isinstance(known, type):
            if known.__module__ == "datetime" and after in _CLOCKS:
                return f"{known.__name__}.{after}"
            if known.__name__ in _asked_of(known.__module__, strict):
                return f"{known.__module__}.{known.__name__}"
        elif known is os.environ or known is getattr(os, "environb", None):
            return "os.environ"
        elif (asked := _asked(known, strict)) is not None:
            return asked
        elif isinstance(known, FunctionType) and own(known):
            asked = _asks(known, seen, strict)
            if asked is not None:
                return asked
    return None


def _meant(chain: str, lookup: Lookup) -> tuple[Any, str | None]:
    """What a name with its attributes means, as far as modules lead; and the attribute after it."""
    first, *after = chain.split(".")
    known = lookup(first)
    if known is None:
        known = sys.modules.get(first)
    while isinstance(known, ModuleType) and after:
        if after[0] in _asked_of(known.__name__, True):
            break
        known = vars(known).get(after.pop(0))
    return known, after[0] if after else None


def _asked(known: Any, strict: bool) -> str | None:
    """The same of something that is called by a name of its own, as after `from time import time`."""
    if not isinstance(known, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return None
    owner = getattr(known, "__self__", None)
    if isinstance(owner, type) and owner.__module__ == "datetime":
        return f"{owner.__name__}.{known.__name__}" if known.__name__ in _CLOCKS else None
    module = known.__module__ or type(owner).__module__
    if isinstance(known, types.MethodType):  # `random.randint` belongs to the one generator that all of them share
        module = type(owner).__module__
    module = _SAME.get(module, module)
    if known.__name__ not in _asked_of(module, strict):
        return None
    return known.__name__ if module == "builtins" else f"{module}.{known.__name__}"


def _asked_of(module: str, strict: bool) -> frozenset[str]:
    asked: Mapping[str, frozenset[str]] = _ASKED
    return asked.get(module, frozenset()) | (_UNLESS_TOLD.get(module, frozenset()) if strict else frozenset())
