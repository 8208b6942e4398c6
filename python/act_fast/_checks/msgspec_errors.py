"""What msgspec found wrong with a value, without the value."""

import re
from typing import Final

import msgspec

__all__ = ["misfit"]

_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$\.?(?P<path>.*)`)?$", re.DOTALL)
_VALUE: Final = re.compile(r"^(Invalid (?:enum )?value) .*$", re.DOTALL)


def misfit(error: msgspec.MsgspecError) -> tuple[str, str]:
    """What was wrong, and the path of the field where, `""` for the whole. No payload is in either."""
    found = _PLACE.match(str(error))
    if found is None:
        return "is not what it must be", ""
    what = _VALUE.sub(r"\1", found["what"]).removeprefix("Object contains ").removeprefix("Object ")
    return what[:1].lower() + what[1:], found["path"] or ""
