"""Moments as datetimes, and as the whole microseconds since 1970 UTC that stores keep."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["EPOCH", "machine_us", "microseconds_of", "moment"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND: Final = timedelta(microseconds=1)
_from_timestamp: Final = datetime.fromtimestamp  # exact to the microsecond until the year 2242, and twice as fast


def moment(since_1970_us: int) -> datetime:
    """A moment, from microseconds since 1970 UTC."""
    return _from_timestamp(since_1970_us / 1e6, UTC)


def microseconds_of(when: datetime) -> int:
    """Microseconds since 1970 UTC; the datetime knows its time zone."""
    return (when - EPOCH) // _MICROSECOND


def machine_us() -> int:
    """What time it is on this machine, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000
