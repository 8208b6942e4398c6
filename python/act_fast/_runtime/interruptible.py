"""Ctrl-C while DuckDB is at work: DuckDB stops for it, but says so only in the words of an error."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets Ctrl-C be what it is everywhere else."""
    try:
        yield
    except Exception as error:
        # A RuntimeError when it came while DuckDB had something read by us, which it takes for an error of the reader.
        if "duckdb" not in type(error).__module__ and not isinstance(error, RuntimeError):
            raise
        told = type(error).__name__ == "InterruptException" or str(error) == "Query interrupted"
        if told or "KeyboardInterrupt" in str(error):
            raise KeyboardInterrupt from None
        raise
