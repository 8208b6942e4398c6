"""Connections to a database: a few for readers, some with an owner. Each database adds what its client is like."""

import math
import os
import select
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Generic, LiteralString, TypeVar

from act_fast._rows import Row
from act_fast.errors import StoreClosedError

__all__ = ["COLUMNS", "Connections", "ready", "said"]

COLUMNS: Final[LiteralString] = "position, stream, version, name, created_us, data, meta, tags"
"""What a row of an event is made of."""

_READERS_MAX: Final = 8
_LOST_MAX: Final = 2
"""How many connections a question may lose."""

C = TypeVar("C")
"""A connection, as the client of a database has it."""


class Connections(ABC, Generic[C]):
    """The connections of one store in this process. Each is made when it is first needed.

    Attributes:
        place: where the database is, as errors and logs may show it.
        errors: what the client raises.
        integer: the type that a cast to 64 bits names.
        correlation_start: the first 64 bytes of a correlation, which an index leads to.
    """

    errors: ClassVar[type[Exception]]
    integer: ClassVar[LiteralString]
    correlation_start: ClassVar[LiteralString]

    def __init__(self, place: object) -> None:
        self.place = place
        self._process = os.getpid()
        self._closed = False
        self._room = threading.BoundedSemaphore(_READERS_MAX)
        self._idle: list[C] = []

    @abstractmethod
    def new(self) -> C:
        """A connection of the caller's own. It raises what the client raises; see `asking`."""

    @abstractmethod
    def question(self, text: LiteralString) -> Any:
        """A statement as the client takes it; `{schema}.` in front of a table stands for where the tables are."""

    @abstractmethod
    def among(self, column: LiteralString) -> LiteralString:
        """The condition that a column is among the values of one parameter, a list."""

    @abstractmethod
    def page(self, rows: LiteralString, given: Sequence[Any], order: LiteralString, bytes_max: int) -> list[Row]:
        """The rows of a question in our own words, in that order, up to the one with which they have so many bytes."""

    @abstractmethod
    def broken(self, error: BaseException) -> bool:
        """Whether a connection was lost, so that another one may do."""

    @abstractmethod
    def asking(self) -> AbstractContextManager[None]:
        """Turn what the client raises into the errors of a store. None carries a password."""

    @abstractmethod
    def ended(self, connection: C) -> bool:
        """Whether the server has ended a connection that is doing nothing."""

    @abstractmethod
    def end(self, connection: C) -> None:
        """Close a connection."""

    @abstractmethod
    def _rows(self, connection: C, question: Any, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of a question."""

    @abstractmethod
    def _idles(self, connection: C) -> bool:
        """Whether a connection may be used for another question."""

    def check(self) -> None:
        """Refuse to go on once closed, or in a forked child, whose connections are its parent's.

        Raises:
            StoreClosedError: the store was closed, or this process is a fork of the one that opened it.
        """
        if self._closed:
            raise StoreClosedError("this store was closed; open it again")
        if os.getpid() != self._process:
            raise StoreClosedError(
                "this process was forked from the one that opened the store, whose connections are not its own; open"
                " the store again here"
            )

    def ask(self, text: LiteralString, *given: Any) -> list[tuple[Any, ...]]:
        """All rows of a question in our own words, with `{schema}.` in front of each table; see `fetch`."""
        return self.fetch(self.question(text), given)

    def fetch(self, question: Any, given: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a question that may be asked twice: connections that were lost meanwhile are replaced."""
        self.check()
        with self._room, self.asking():
            for _ in range(_LOST_MAX):
                try:
                    return self._fetch(self._take(), question, given)
                except self.errors as error:
                    if not self.broken(error):
                        raise
                self._let_go_of_idle()  # they are most likely lost as well
            return self._fetch(self._take(), question, given)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def ours(self) -> bool:
        """Whether this is the process that opened the store."""
        return os.getpid() == self._process

    def close(self) -> None:
        """Let go of all connections. Closing again does nothing."""
        self._closed = True
        if self.ours:
            self._let_go_of_idle()

    def _take(self) -> C:
        try:
            return self._idle.pop()
        except IndexError:
            return self.new()

    def _fetch(self, connection: C, question: Any, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        sound = False
        try:
            found = self._rows(connection, question, given)
            sound = True
            return found
        except self.errors as error:
            sound = not self.broken(error)
            raise
        finally:
            if sound and self._idles(connection) and not self._closed:
                self._idle.append(connection)
                if self._closed:  # meanwhile
                    self._let_go_of_idle()
            else:
                self.end(connection)

    def _let_go_of_idle(self) -> None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:  # asking before would not do: other threads let go of them, too
                return
            self.end(connection)


def ready(files: Iterable[int], seconds: float) -> set[int]:
    """Those of some files that have something to read, as soon as one has, or after some seconds."""
    poll = select.poll()  # `select` knows no file numbers above 1023
    for each in files:
        poll.register(each, select.POLLIN)
    return {file for file, _ in poll.poll(math.ceil(seconds * 1000))}


def said(error: BaseException) -> str:
    """The first line of what went wrong. Those that follow may quote rows."""
    return str(error).strip().partition("\n")[0]
