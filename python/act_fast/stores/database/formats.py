"""The format of a store's tables: which one this version of act-fast works on, and the steps that lead to it.

Tables are upgraded by `act-fast store upgrade`, when it suits those who run programs on them, and never by opening a
store. A step must leave possible what programs of the version before do, until they have ended.
"""

from collections.abc import Sequence
from typing import LiteralString, NamedTuple, TypeAlias

from act_fast.errors import StoreFormatError

__all__ = ["Migrations", "Upgraded", "check_format", "steps_from"]

Migrations: TypeAlias = Sequence[Sequence[LiteralString]]
"""The statements that lead from format 1 to 2, from 2 to 3, and so on. Each may be run again after it failed."""


class Upgraded(NamedTuple):
    """What became of the tables of a store.

    Attributes:
        before: the format that they had.
        now: the format that they have.
    """

    before: int
    now: int


def check_format(found: int, known: int, store: str) -> None:
    """Refuse to work on tables of another format.

    Raises:
        StoreFormatError: they have one, and what to do.
    """
    if found < known:
        raise StoreFormatError(
            f"{store} has format {found}, and this version of act-fast needs {known}; have the owner of its tables run"
            " `act-fast store upgrade ADDRESS`"
        )
    _check_not_newer(found, known, store)


def steps_from(found: int, migrations: Migrations, store: str) -> list[tuple[int, Sequence[LiteralString]]]:
    """The steps that lead from a format to that of this version: which format each leads to, and its statements.

    Raises:
        StoreFormatError: the format is a newer one.
    """
    _check_not_newer(found, len(migrations) + 1, store)
    return [(number + 1, migrations[number - 1]) for number in range(found, len(migrations) + 1)]


def _check_not_newer(found: int, known: int, store: str) -> None:
    if found > known:
        raise StoreFormatError(
            f"{store} has format {found}, which a newer version of act-fast has made; this one knows formats up to"
            f" {known}: use the newer one"
        )
