"""Errors as HTTP says them: a status, and a body in the form of RFC 9457."""

import http
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast.errors import (
    ActError,
    ConcurrencyError,
    ConflictError,
    DecodeError,
    DefinitionError,
    EngineAwayError,
    EngineError,
    FoldError,
    InvariantError,
    KeyReusedError,
    OutcomeUnknownError,
    RecordTooLargeError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StreamClosedError,
    SubjectForgottenError,
    ValidationError,
)

__all__ = ["PROBLEM_JSON", "Refusal", "misfit_of", "refusal_of"]

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5

_STATUS: Final[Mapping[type[Exception], int]] = {
    ConflictError: 409,
    InvariantError: 409,
    KeyReusedError: 422,
    StreamClosedError: 423,
    SubjectForgottenError: 409,
    FoldError: 422,
    DecodeError: 500,
    DefinitionError: 500,
    ValidationError: 422,
    StoreFullError: 507,
    OutcomeUnknownError: 500,
    StoreCorruptError: 500,
    StoreFormatError: 500,
    RecordTooLargeError: 413,
    EngineAwayError: 503,
    EngineError: 500,
    StoreError: 503,
}
"""The status of each error; of a subclass, that of the nearest base."""
_PHRASES: Final[Mapping[int, str]] = {each.value: each.phrase for each in http.HTTPStatus}
_OWN: Final = frozenset({500})
_TOLD: Final = "the request may be right: this is a mistake of the service, which has logged it"
_UNKNOWN: Final = "it is not known whether the events were appended; read the state before you try again"


class Refusal(Exception):
    """A request that is answered with a problem.

    Attributes:
        status: the HTTP status.
        detail: what is wrong and what to do, for people.
        headers: headers of the answer.
        more: further members of the body.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers: dict[str, str] = dict(headers or {})
        self.more = more

    @property
    def body(self) -> bytes:
        """The problem as JSON."""
        title = _PHRASES.get(self.status, "Error")
        return msgspec.json.encode(
            {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.more}
        )


def refusal_of(error: Exception, pinned: bool, own: Mapping[type[Exception], int]) -> Refusal | None:
    """What a client is told of an error; None if it is nothing that can be foreseen.

    Args:
        error: the error.
        pinned: whether the client said which version it rests on.
        own: the statuses of the program's own errors.
    """
    name = type(error).__name__
    for kind in type(error).__mro__:
        if kind in own:
            return Refusal(own[kind], str(error), error=name)
    if not isinstance(error, ActError):
        return None
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    if isinstance(error, ConcurrencyError):
        found = Refusal(412 if pinned else status, str(error), error=name, version=error.actual)
        found.headers["ETag"] = f'"{error.actual}"'
        return found
    if status in _OWN:
        return Refusal(status, _UNKNOWN if isinstance(error, OutcomeUnknownError) else _TOLD, error=name)
    if status == 503:
        return Refusal(status, "the store is away; try again later", {"Retry-After": str(RETRY_AFTER_S)}, error=name)
    return Refusal(status, str(error), error=name)


def misfit_of(error: Exception, kind: Any, place: str) -> Refusal:
    """What is wrong with a body that was to be of a type."""
    if isinstance(error, msgspec.ValidationError):
        what, path = misfit(error, kind)
        pointer = "".join(f"/{each}" for each in path.replace("[", ".").replace("]", "").split(".") if each)
        where = f"argument {path!r}: " if path else ""
        return Refusal(
            422, f"{place}: {where}{what}", error="ValidationError", errors=[{"pointer": pointer, "detail": what}]
        )
    if isinstance(error, RecursionError):
        return Refusal(422, f"{place}: too many lists and objects inside each other", error="ValidationError")
    return Refusal(400, "the body is not JSON")
