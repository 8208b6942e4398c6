"""Every error act-fast raises. Each says what was asked, what was found and what to do.

All derive from `ActError`. Messages carry names, numbers and places, never payloads; what a program needs in order to
act is in typed attributes.
"""

from __future__ import annotations

__all__ = [
    "ActError",
    "ConcurrencyError",
    "DecodeError",
    "DefinitionError",
    "EngineAwayError",
    "EngineError",
    "EngineRefusedError",
    "FoldError",
    "InvariantError",
    "MissingExtraError",
    "MoveError",
    "NonRetryableError",
    "NotDurableError",
    "OutcomeUnknownError",
    "RecordTooLargeError",
    "RestoreError",
    "StoreClosedError",
    "StoreCorruptError",
    "StoreError",
    "StoreFailedError",
    "StoreFormatError",
    "StoreFullError",
    "StoreLockedError",
    "StreamClosedError",
    "TrimmedError",
    "ValidationError",
]


class ActError(Exception):
    """The base of every error that act-fast raises on purpose."""


class ValidationError(ActError, ValueError):
    """An argument or a payload is not what it must be. Nothing was changed.

    Two kinds of it are not the caller's to fix, and have classes of their own: `DecodeError` and `DefinitionError`. A
    service answers those as its own failures (HTTP 500), and all others as its client's (422).
    """


class DecodeError(ValidationError):
    """What is stored does not decode as the classes of today: an event, or what a commit says of its cause.

    Fix the classes, with a default or an upcaster; `act-fast check` finds all such events of a log.
    """


class DefinitionError(ValidationError):
    """The program is wrong: a class or an app as it is defined, or what an action returns or a reducer makes."""


class FoldError(ActError, ArithmeticError):
    """An event cannot be folded into a declared field: a number that is too large, or too many distinct values.

    In `do` nothing was appended.

    Attributes:
        field: the field, as `State.field`.
        event: the stored name of the event.
        problem: what was found.
        stream: the stream; empty where there is none.
        version: the event's version, or the one that it would have had; 0 where there is none.
        position: the event's position; 0 while it has none.
    """

    def __init__(
        self, field: str, event: str, problem: str, stream: str = "", version: int = 0, position: int = 0
    ) -> None:
        super().__init__(field, event, problem, stream, version, position)
        self.field = field
        self.event = event
        self.problem = problem
        self.stream = stream
        self.version = version
        self.position = position

    def __str__(self) -> str:
        place = f", version {self.version} of stream {self.stream!r}" if self.stream else ""
        place += f", position {self.position}" if self.position else ""
        return f"{self.field}: {self.problem}, with {self.event}{place}; declare it otherwise, or write a reducer"


class InvariantError(ActError):
    """A business rule does not hold, so the action was not run. Nothing was changed.

    Attributes:
        action: the action, as `State.action`.
        stream: the stream that it was to be done on.
        description: the rule, in the words of its `@invariant`.
        version: the version that the stream was at.
    """

    def __init__(self, action: str, stream: str, description: str, version: int) -> None:
        super().__init__(action, stream, description, version)
        self.action = action
        self.stream = stream
        self.description = description
        self.version = version

    def __str__(self) -> str:
        return f"{self.action} on {self.stream!r} at version {self.version} breaks the rule: {self.description}"


class ConcurrencyError(ActError):
    """The stream is not at the version the append expected. Nothing was written; load again and decide again.

    Attributes:
        stream: the stream.
        expected: the version that it was expected at.
        actual: the version that it is at.
    """

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(stream, expected, actual)
        self.stream = stream
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return (
            f"stream {self.stream!r} was expected at version {self.expected} but is at version {self.actual};"
            " load it again and decide again"
        )


class StreamClosedError(ActError):
    """The stream was closed and takes no more events.

    Attributes:
        stream: the stream.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.stream = stream

    def __str__(self) -> str:
        return f"stream {self.stream!r} is closed and takes no more events"


class NonRetryableError(ActError):
    """Raised by a reaction's handler: trying again cannot help, so block the target at once."""


class MissingExtraError(ActError, ImportError):
    """What was asked needs a package that is not installed. The message says what to install.

    Attributes:
        module: the module that is missing.
        extra: the extra of act-fast that brings it, as in `act-fast[sql]`.
    """

    def __init__(self, message: str, module: str = "", extra: str = "") -> None:
        super().__init__(message, module, extra)
        self.message = message
        self.module = module
        self.extra = extra

    def __str__(self) -> str:
        return self.message


class StoreError(ActError):
    """The store could not do what was asked."""


class RestoreError(StoreError):
    """What is to be restored is not what it must be: damaged, cut short, or something else. Nothing was changed.

    Attributes:
        source: the file.
        line: which line of it, or which row where there are no lines, from 1; 0 when it is the file as a whole.
    """

    def __init__(self, message: str, source: str = "", line: int = 0) -> None:
        super().__init__(message, source, line)
        self.message = message
        self.source = source
        self.line = line

    def __str__(self) -> str:
        return self.message


class MoveError(StoreError):
    """What was moved is not at the target as it is in the source, which goes on as before."""


class StoreFormatError(StoreError):
    """The path holds something that is not an act-fast store, or one of a format this version cannot read."""


class StoreLockedError(StoreError):
    """Another process holds what is needed, in a way that waiting will not change."""


class StoreFullError(StoreError):
    """The disk, or a limit of the store, is full. Nothing was written; the store can still be read."""


class StoreFailedError(StoreError):
    """A write or a flush failed, so appending has stopped. Reads go on; close all handles and open again to recover."""


class OutcomeUnknownError(StoreFailedError):
    """Something failed after a commit had been written or sent, so whether it is there is not known.

    Load the stream again before you try again. With every other error of an append, nothing was appended.

    Also raised by `backup`, `restore` and `export` when what they have made is in its place, but may not survive a
    power cut. With their other errors it is not there.
    """


class StoreClosedError(StoreError):
    """The store was closed, or was opened by the process this one was forked from."""


class StoreCorruptError(StoreError):
    """Bytes on disk are not what was written. Says which file and where; nothing damaged is ever returned.

    Attributes:
        file: the damaged file, relative to the store's directory.
        offset: where in the file, in bytes.
        position: the first position that cannot be read, or None when it is not known.
    """

    def __init__(self, message: str, file: str = "", offset: int = 0, position: int | None = None) -> None:
        super().__init__(message, file, offset, position)
        self.message = message
        self.file = file
        self.offset = offset
        self.position = position

    def __str__(self) -> str:
        return self.message


class EngineError(StoreError):
    """The engine that keeps a store's log could not do what was asked. When it was an append, nothing was appended."""


class EngineAwayError(EngineError):
    """The engine cannot be reached, or has no leader or quorum just now. Try again later."""


class EngineRefusedError(EngineError):
    """The engine does not let us: the credentials are wrong, or lack a permission. They are not repeated."""


class NotDurableError(EngineError):
    """The engine's log may lose what it acknowledged when a machine is lost. Says what to set, or how to accept it."""


class RecordTooLargeError(EngineError):
    """A record is larger than the engine takes."""


class TrimmedError(EngineError):
    """What is to be read was trimmed from the engine's log; a replica so far behind begins from a checkpoint.

    Attributes:
        log: the log, without credentials.
        after: the place behind which it was to be read.
        first: the first place that is still there.
    """

    def __init__(self, log: str, after: int, first: int) -> None:
        super().__init__(log, after, first)
        self.log = log
        self.after = after
        self.first = first

    def __str__(self) -> str:
        return f"{self.log} begins at {self.first}; what follows {self.after} was trimmed; begin from a checkpoint"
