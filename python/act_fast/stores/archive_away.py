"""An archive that is away, where DuckDB reads the log: it keeps the words of our error, and not its class."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from act_fast.errors import ArchiveUnavailableError

__all__ = ["archive_away", "naming_archives"]

_AWAY: Final = re.compile(
    r"(?P<file>log/\d+\.seg) is archived at (?P<address>.*?), which could not be read \(.*its new address", re.DOTALL
)


def archive_away(error: Exception) -> ArchiveUnavailableError | None:
    """The error that DuckDB's tells of, if an archive could not be read."""
    found = _AWAY.search(str(error))
    return found and ArchiveUnavailableError(found[0], found["file"], found["address"])


@contextmanager
def naming_archives() -> Iterator[None]:
    """Raises what DuckDB says of an archive that is away as the store's own error.

    Raises:
        ArchiveUnavailableError: an archive could not be read.
    """
    try:
        yield
    except Exception as error:
        away = archive_away(error) if "duckdb" in type(error).__module__ else None
        if away is None:
            raise
        raise away from None
