"""Whose verb is running."""

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

__all__ = ["Host"]

_PACKAGE: Final = "act_fast"
"""What has the asynchronous face of an app, by its public name: it stands above, and few programs need it."""


class Host:
    """Whose verb is running: the app that handlers are given, and the event loop that `async def` ones run on.

    Attributes:
        app: for handlers that are `def`.
        loop: where handlers that are `async def` run; None: on a loop of the app's own.
    """

    def __init__(self, app: Any, async_app: Any = None, loop: "asyncio.AbstractEventLoop | None" = None) -> None:
        self.app = app
        self.loop = loop
        self._async_app = async_app

    @cached_property
    def async_app(self) -> Any:
        """For handlers that are `async def`."""
        return self._async_app or import_module(_PACKAGE).AsyncAct(self.app)

    def close(self) -> None:
        """End the threads of an app that was made here."""
        made = self.__dict__.get("async_app")
        if made is not None and made is not self._async_app:
            made._end_threads()

    def serves_like(self, other: "Host") -> bool:
        """Whether handlers would be given the same."""
        return self.app is other.app and self.loop is other.loop and self._async_app is other._async_app
