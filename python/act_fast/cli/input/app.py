"""Finds the app that a person means by `module:name`."""

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from act_fast import Act, AsyncAct, Slice, State
from act_fast.errors import ActError, ValidationError

__all__ = ["App", "find_app", "find_object"]

_PACKAGE: Final = Path(__file__).resolve().parents[2]

App: TypeAlias = Act | AsyncAct


def find_app(address: str) -> App:
    """The app at `module:name`, where a module is looked for in the current directory first.

    The name may be that of an app, of a function that makes one, or of a state class or a slice, which is then put into
    an app of its own, in memory.

    Raises:
        ValidationError: there is no such thing, or it is none of these.
    """
    if "://" in address:  # which may carry a password
        raise ValidationError("an app is needed here, written module:name such as bank:app, not the address of a store")
    return _as_app(address, find_object(address))


def find_object(address: str, what: str = "an app") -> object:
    """What stands at `module:name`, where a module is looked for in the current directory first.

    Raises:
        ValidationError: there is no such thing.
    """
    module_name, _, name = address.partition(":")
    if not module_name or not name:
        raise ValidationError(f"{address!r} does not name {what}; write module:name, such as bank:app")
    sys.path.insert(0, "")
    try:
        found = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        return found
    except ActError:
        raise
    except Exception as error:  # the module is the user's code
        raise _failed(address, "cannot be loaded", error) from error
    finally:
        sys.path.remove("")


def _made(address: str, factory: Callable[[], object]) -> object:
    try:
        return factory()
    except ActError:
        raise
    except Exception as error:
        raise _failed(address, "raised", error) from error


def _failed(address: str, what: str, error: Exception) -> ValidationError:
    """An exception of the user's code, with the lines of that code and none of those that led there."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not _ours(each.filename)]
    lines = "".join(traceback.format_list(frames)).rstrip("\n")
    return ValidationError(f"{address} {what}: {type(error).__name__}: {error}{chr(10) if lines else ''}{lines}")


def _ours(file: str) -> bool:
    """Whether a file is of this package, or of what imports modules."""
    return file.startswith((str(_PACKAGE), "<frozen importlib")) or file == importlib.__file__


def _as_app(address: str, found: object) -> App:
    if isinstance(found, Act | AsyncAct):
        return found
    if isinstance(found, Slice) or (isinstance(found, type) and issubclass(found, State)):
        return Act("memory:", found)
    made = _made(address, found) if callable(found) and not isinstance(found, type) else None
    if isinstance(made, Act | AsyncAct):
        return made
    raise ValidationError(
        f"{address} is {type(found).__name__}; name an app, a function that makes one, a state class or a slice"
    )
