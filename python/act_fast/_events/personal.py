"""What is personal, and whose: marks on the fields of events and states, and what a forgotten value reads as."""

from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec

__all__ = ["FORGOTTEN", "Forgotten", "Personal", "PersonalMark", "Sealing", "Subject", "SubjectMark", "marks_of"]

T = TypeVar("T")

SUBJECT_KINDS: Final = (str, int, UUID, NoneType)


class Forgotten(Enum):
    """The type of `FORGOTTEN`, which a personal field reads as once its subject was forgotten. It is falsy."""

    FORGOTTEN = None

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "FORGOTTEN"

    def __str__(self) -> str:
        return "FORGOTTEN"


FORGOTTEN: Final = Forgotten.FORGOTTEN
"""What a personal field reads as once its subject was forgotten: falsy, one of its kind, and null in JSON"""


class PersonalMark(msgspec.Struct, frozen=True):
    """Says of a field that its value is personal; `Personal` is how to write it."""


class SubjectMark(msgspec.Struct, frozen=True):
    """Says of a field that it is whom the personal fields beside it are about; `Subject` is how to write it."""


class Sealing(msgspec.Struct, frozen=True):
    """Says how a personal field is sealed, where that is not plain.

        buyer_email: Annotated[Personal[str], Sealing(subject="buyer", lookup=True)]

    Attributes:
        subject: the field that says whose it is; needed where there are several.
        lookup: also store a keyed hash of the value as a tag, so that events can be found by it with `app.lookup`.
    """

    subject: str | None = None
    lookup: bool = False


# Type checkers see that a value may be gone. msgspec sees the value's own type: what is gone is put in its place later.
if TYPE_CHECKING:
    Personal = Annotated[T | Forgotten, PersonalMark()]
    """A field that is sealed before it is stored: `email: Personal[str]`, beside a `Subject`. It reads as its value,
    or as `FORGOTTEN`."""
else:
    Personal = Annotated[T, PersonalMark()]

Subject = Annotated[T, SubjectMark()]
"""A field that says whom the personal fields beside it are about: `user: Subject[str]`; text, a number or a UUID.

It is stored in clear and stays, so it should be an id that means nothing elsewhere."""


class Marks(msgspec.Struct, frozen=True):
    """What is said of a type itself, not of its parts: whether it is personal, how it is sealed, or a subject."""

    personal: bool
    subject: bool
    sealing: Sealing


def marks_of(hint: Any) -> Marks:
    """The marks of an annotation, outside of unions and containers."""
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    inner = get_args(hint)[0] if extras else None
    found = [*extras, *(get_args(inner)[1:] if get_origin(inner) is Annotated else ())]
    return Marks(
        any(isinstance(each, PersonalMark) for each in found),
        any(isinstance(each, SubjectMark) for each in found),
        next((each for each in found if isinstance(each, Sealing)), Sealing()),
    )


def bare(hint: Any) -> Any:
    """A type without what is said of it."""
    return bare(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def options(hint: Any) -> tuple[Any, ...]:
    """The members of a union; the type itself if it is none."""
    inner = bare(hint)
    return get_args(inner) if get_origin(inner) in (Union, UnionType) else (hint,)
