"""Numbers in sentences."""

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """`1 event`, `1,234 events`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
