"""The shapes of the tuples that cross the boundary to the core."""

from collections.abc import Callable
from typing import TypeAlias

Row: TypeAlias = tuple[int, str, int, str, int, bytes, bytes]
"""position, stream, version, name, created in µs since 1970 UTC, data (JSON), meta (JSON, b"" when there is none)"""

StreamRow: TypeAlias = tuple[str, int, int, int, int, int, str]
"""stream, version, first position, last position, first created µs, last created µs, name of the last event"""

Progress: TypeAlias = Callable[[int, int], object]
"""called now and then with (bytes done, bytes in all)"""
