"""Every error act-fast raises. Each says what was asked, what was found and what to do.

All derive from `ActError`. Messages carry names, numbers and places, never payloads; what a program needs in order to
act is in typed attributes.
"""

from __future__ import annotations

__all__ = [
    "ActError",
    "ArchiveUnavailableError",
    "ConcurrencyError",
    "ConditionError",
    "ConflictError",
    "DecodeError",
    "DefinitionError",
    "EngineAwayError",
    "EngineError",
    "EngineRefusedError",
    "FoldError",
    "InvariantError",
    "KeyMissingError",
    "KeyReusedError",
    "KeyStoreError",
    "MissingExtraError",
    "MoveError",
    "NonRetryableError",
    "NotDurableError",
    "OutcomeUnknownError",
    "PrunedError",
    "RecordTooLargeError",
    "RestoreError",
    "RetryAfterError",
    "SealError",
    "StoreClosedError",
    "StoreCorruptError",
    "StoreError",
    "StoreFailedError",
    "StoreFormatError",
    "StoreFullError",
    "StoreLockedError",
    "StreamClosedError",
    "SubjectForgottenError",
    "TrimmedError",
    "ValidationError",
    "WebhookError",
]


class ActError(Exception):
    """The base of every error that act-fast raises on purpose."""


class ValidationError(ActError, ValueError):
    """An argument or a payload is not valid. Nothing was changed.

    Two subclasses are not the caller's fault: `DecodeError` and `DefinitionError`. A service should answer those as its
    own failures (HTTP 500), and all others as the client's (422).
    """


class DecodeError(ValidationError):
    """Something stored does not decode with today's classes: an event, or a commit's record of its cause.

    Fix the classes, with a default or an upcaster; `act-fast check` finds all such events of a log.
    """


class DefinitionError(ValidationError):
    """The program is wrong: the definition of a class or an app, or what an action returns or a reducer produces."""


class FoldError(ActError, ArithmeticError):
    """An event cannot be folded into a declared field: a number that is too large, or too many distinct values.

    If `do` raises it, nothing was appended.

    Attributes:
        field: the field, as `State.field`.
        event: the stored name of the event.
        problem: what was found.
        stream: the stream; empty if there is none.
        version: the event's version, or the one that it would have had; 0 if there is none.
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
        return f"{self.field}: {self.problem}, with {self.event}{place}; declare it differently, or write a reducer"


class InvariantError(ActError):
    """A business rule does not hold, so the action was not run. Nothing was changed.

    Attributes:
        action: the action, as `State.action`.
        stream: the stream that the action was called on.
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


class ConflictError(ActError):
    """Something else was appended meanwhile, so nothing was written: load, and decide again.

    It is a `ConcurrencyError` or a `ConditionError`. That a rule does not allow what was asked is another matter, and
    another error.
    """


class ConditionError(ConflictError):
    """An event that the append's `Condition` excludes is there. Nothing was written; read again and decide again.

    Attributes:
        after: the position after which there must be no such event.
        position: that of the newest one.
    """

    def __init__(self, after: int, position: int) -> None:
        super().__init__(after, position)
        self.after = after
        self.position = position

    def __str__(self) -> str:
        return (
            f"the condition allows no matching event after position {self.after}, but there is one at"
            f" {self.position}; read again and decide again"
        )


class ConcurrencyError(ConflictError):
    """The stream is not at the version that the append expected. Nothing was written; load and decide again.

    Attributes:
        stream: the stream.
        expected: the version that was expected.
        actual: the version that the stream is at.
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


class KeyReusedError(ActError):
    """The key was used before, for something else. Nothing was written; give each request a key of its own.

    Attributes:
        key: the key.
        position: where the first event is of what was appended under it.
    """

    def __init__(self, key: str, position: int) -> None:
        super().__init__(key, position)
        self.key = key
        self.position = position

    def __str__(self) -> str:
        return (
            f"the key {self.key!r} was used before, for something else, which is at position {self.position};"
            " give each request a key of its own"
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


class SubjectForgottenError(ActError):
    """Something personal was to be stored about someone who was forgotten. Nothing was appended.

    A person who comes back gets another id.
    """


class SealError(DecodeError):
    """A sealed value does not open: it was changed, or moved to another field, event or subject."""


class KeyMissingError(SealError):
    """A key store has no key that something was sealed with, nor a record that it was destroyed: it is another one."""


class KeyStoreError(ActError):
    """A key store cannot be opened, read or written, or has another master key."""


class PrunedError(ActError):
    """A state was asked for as it was before its stream's books were closed, and those events were pruned.

    Attributes:
        stream: the stream.
        version: the version of an event that would be needed, and whose data is gone.
        begins: the first version that a state can be read at; 0 if there is none.
    """

    def __init__(self, stream: str, version: int, begins: int) -> None:
        super().__init__(stream, version, begins)
        self.stream = stream
        self.version = version
        self.begins = begins

    def __str__(self) -> str:
        then = f"its states can be read from version {self.begins} on" if self.begins else "nothing holds its state"
        return f"version {self.version} of stream {self.stream!r} was pruned; {then}"


class NonRetryableError(ActError):
    """Raise this in a reaction's handler when retrying cannot help: it blocks the target at once."""


class RetryAfterError(ActError):
    """Raise this in a reaction's handler when you know how long it takes until retrying can help.

    The event is not retried before, nor earlier than the reaction's own backoff says. The attempt counts as any other.

    Attributes:
        seconds: how long to wait.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, seconds)
        self.message = message
        self.seconds = seconds

    def __str__(self) -> str:
        return self.message


class WebhookError(ValidationError):
    """A webhook that was received is not genuine, or too old to be taken for genuine."""


class MissingExtraError(ActError, ImportError):
    """This feature needs a package that is not installed. The message says what to install.

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
    """The source of a restore is not valid: damaged, cut short, or something else. Nothing was changed.

    Attributes:
        source: the file.
        line: the line, or the row in a file without lines, counted from 1; 0 when the error concerns the whole file.
    """

    def __init__(self, message: str, source: str = "", line: int = 0) -> None:
        super().__init__(message, source, line)
        self.message = message
        self.source = source
        self.line = line

    def __str__(self) -> str:
        return self.message


class MoveError(StoreError):
    """What was moved does not match at the target what is in the source; the source stays in use as before."""


class StoreFormatError(StoreError):
    """The path holds something that is not an act-fast store, or one of a format this version cannot read."""


class StoreLockedError(StoreError):
    """Another process holds something that is needed, in a way that waiting will not change."""


class StoreFullError(StoreError):
    """The disk, or a limit of the store, is full. Nothing was written; you can still read the store."""


class StoreFailedError(StoreError):
    """A write or a flush failed, so appending has stopped.

    You can still read. To recover, close and reopen all handles.
    """


class OutcomeUnknownError(StoreFailedError):
    """Something failed after a commit had been written or sent, so it is not known whether the commit is there.

    Load the stream again before you retry. With every other error of an append, nothing was appended.

    `backup`, `restore` and `export` raise it too, when their result is in its place but may not survive a power cut.
    With their other errors, the result is not there.
    """


class StoreClosedError(StoreError):
    """The store was closed, or was opened before this process was forked."""


class ArchiveUnavailableError(StoreError):
    """A part of the log is archived, and cannot be read where it is. Nothing is lost; the rest can be read and written.

    Attributes:
        file: the log file, relative to the store's directory.
        address: where the archive is, without credentials; empty if that is not known.
    """

    def __init__(self, message: str, file: str = "", address: str = "") -> None:
        super().__init__(message)
        self.file = file
        self.address = address


class StoreCorruptError(StoreError):
    """The bytes on disk are not what was written. Says which file and where; damaged data is never returned.

    Attributes:
        file: the damaged file, relative to the store's directory.
        offset: where in the file, in bytes.
        position: the first position that cannot be read, or None if it is not known.
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
    """The engine that keeps a store's log could not do what was asked. If that was an append, nothing was appended."""


class EngineAwayError(EngineError):
    """The engine cannot be reached, or has no leader or quorum at the moment. Try again later."""


class EngineRefusedError(EngineError):
    """The engine refuses access: the credentials are wrong, or lack a permission. The message does not repeat them."""


class NotDurableError(EngineError):
    """The engine's log may lose acknowledged data when a machine is lost. Says what to set, or how to accept it."""


class RecordTooLargeError(EngineError):
    """A record is larger than the engine accepts."""


class TrimmedError(EngineError):
    """What you want to read was trimmed from the engine's log; a replica this far behind starts from a checkpoint.

    Attributes:
        log: the log, without credentials.
        after: the place after which it was to be read.
        first: the first place that is still there.
    """

    def __init__(self, log: str, after: int, first: int) -> None:
        super().__init__(log, after, first)
        self.log = log
        self.after = after
        self.first = first

    def __str__(self) -> str:
        return f"{self.log} begins at {self.first}; what follows {self.after} was trimmed; start from a checkpoint"
