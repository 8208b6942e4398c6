"""What SQL reads from: relations that can leave out columns and rows before they are made."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["Condition", "Scan"]


class Condition(NamedTuple):
    """A column compared with constants.

    Attributes:
        column: its name.
        op: `=`, `<`, `<=`, `>`, `>=` or `in`.
        value: the constant; a sequence of them for `in`. Times are µs since 1970.
    """

    column: str
    op: str
    value: Any


class Scan(Protocol):
    """A relation as it is read.

    Attributes:
        columns: its columns' names.
    """

    columns: Sequence[str]

    def __arrow_c_schema__(self) -> object:
        """The columns' types."""

    def accepts(self, condition: Condition) -> bool:
        """Whether reading under this condition gives exactly the rows that meet it."""
        ...

    def read(self, columns: Sequence[str] | None, conditions: Sequence[Condition]) -> tuple[object, bool]:
        """A stream of the rows that meet all conditions, and whether it has these columns in this order, or all.

        The conditions are among those that were accepted.
        """
        ...
