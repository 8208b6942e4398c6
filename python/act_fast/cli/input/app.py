"""Finds the app that a person means by `module:name`."""

import importlib
import sys
from typing import TypeAlias

from act_fast import Act, AsyncAct, Slice, State
from act_fast.errors import ActError, ValidationError

__all__ = ["App", "find_app"]

App: TypeAlias = Act | AsyncAct


def find_app(address: str) -> App:
    """The app at `module:name`, where a module is looked for in the current directory first.

    The name may be that of an app, of a function that makes one, or of a state class or a slice, which is then put into
    an app of its own, in memory.

    Raises:
        ValidationError: there is no such thing, or it is none of these.
    """
    module_name, _, name = address.partition(":")
    if not module_name or not name:
        raise ValidationError(f"{address!r} does not name an app; write module:name, such as bank:app")
    sys.path.insert(0, "")
    try:
        found = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except ActError:
        raise
    except Exception as error:  # the module is somebody else's code
        raise ValidationError(f"{address} cannot be had: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove("")
    return _as_app(address, found)


def _as_app(address: str, found: object) -> App:
    if isinstance(found, Act | AsyncAct):
        return found
    if isinstance(found, Slice) or (isinstance(found, type) and issubclass(found, State)):
        return Act("memory:", found)
    made = found() if callable(found) and not isinstance(found, type) else None
    if isinstance(made, Act | AsyncAct):
        return made
    raise ValidationError(
        f"{address} is {type(found).__name__}; name an app, a function that makes one, a state class or a slice"
    )
