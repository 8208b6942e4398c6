"""Plant many faults in one build: each is asleep until the environment names its number.

The body of a function that faults are planted in is there once more for each of them, and which one runs is looked up
when the function is called.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tests.mutants.mutation import Mutation

__all__ = ["LOOKED_UP_IN", "SWITCH", "VARIABLE", "switched"]

VARIABLE: Final = "ACT_FAST_PLANTED"
"""What the environment names the number of a fault in."""

LOOKED_UP_IN: Final = "rust/core/src/fault.rs"
"""The file that `SWITCH` is added to."""

SWITCH: Final = f"""
/// The number of the planted fault that is awake.
pub(crate) fn planted() -> u32 {{
    static AWAKE: std::sync::LazyLock<u32> =
        std::sync::LazyLock::new(|| std::env::var("{VARIABLE}").map_or(0, |number| number.parse().expect("a number")));
    *AWAKE
}}
"""

_NO_CODE: Final = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(?P<hashes>\#*)".*?"(?P=hashes)|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])'""", re.DOTALL
)
_FUNCTION: Final = re.compile(r"\bfn\s+\w+")


def switched(text: str, planted: Sequence[tuple[int, Mutation]]) -> str:
    """A source of Rust with faults planted in it, each under a number."""
    bodies: dict[tuple[int, int], list[tuple[int, Mutation]]] = {}
    for number, mutation in planted:
        bodies.setdefault(_body_around(text, mutation), []).append((number, mutation))
    for (start, end), inside in sorted(bodies.items(), reverse=True):
        body = text[start:end]
        arms = "".join(f"{number} => {body.replace(each.old, each.new)}\n" for number, each in inside)
        text = f"{text[:start]}{{ match crate::fault::planted() {{\n{arms}_ => {body}\n}} }}{text[end:]}"
    return text


def _body_around(text: str, mutation: Mutation) -> tuple[int, int]:
    """Where the body of the outermost function around a fault begins and ends."""
    at = mutation.place_in(text)
    for start, end in _bodies(text):
        if start < at and at + len(mutation.old) < end:
            return start, end
    raise ValueError(f"{mutation.name} is in the body of no function of {mutation.file}")


def _bodies(text: str) -> Iterator[tuple[int, int]]:
    """Where the bodies of all functions begin and end, those around others first."""
    code = _NO_CODE.sub(lambda found: " " * len(found[0]), text)
    for function in _FUNCTION.finditer(code):
        start = _first(code, function.end(), "{;")
        if code[start] == "{":
            yield start, _first(code, start + 1, "}") + 1


def _first(code: str, at: int, wanted: str) -> int:
    """Where the first of some characters is that stands in no brackets of its own."""
    depth = 0
    while depth or code[at] not in wanted:
        depth += (code[at] in "([{") - (code[at] in ")]}")
        at += 1
    return at
