"""What a command says when the port that it was to listen at is taken."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from act_fast.errors import ValidationError

__all__ = ["telling_busy_ports"]


@contextmanager
def telling_busy_ports(port: int) -> Iterator[None]:
    """Say which port is in use, and what to do, where the system has a number for it.

    Raises:
        ValidationError: the port is in use.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ValidationError(f"port {port} is in use; pass another --port, or --port 0 for a free one") from error
