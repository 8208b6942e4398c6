"""A planted fault, and the tests that have to fail with it."""

from typing import Literal, NamedTuple

__all__ = ["Check", "Mutation", "cargo", "pytest"]


class Check(NamedTuple):
    """Some tests.

    Attributes:
        runner: what runs them.
        target: the test program of the core, `lib` for the tests inside of it; or a test of Python by its node id.
        only: the name, or the beginning of the path, of the tests that are run of a test program.
    """

    runner: Literal["cargo", "pytest"]
    target: str
    only: str = ""

    def __str__(self) -> str:
        return f"{self.runner} {self.target} {self.only}".strip()


class Mutation(NamedTuple):
    """A fault.

    Attributes:
        name: what is lost.
        file: where it is planted, from the root of the repository.
        old: the text that is replaced; it is in the file exactly once.
        new: what is put in its place; it compiles.
        checks: at least one of these has to fail.
    """

    name: str
    file: str
    old: str
    new: str
    checks: tuple[Check, ...]

    @property
    def runner(self) -> Literal["cargo", "pytest"]:
        """What runs the tests that have to notice it."""
        return self.checks[0].runner

    def place_in(self, text: str) -> int:
        """Where the fault goes in the file's text."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: the old text is not in {self.file} exactly once")
        return text.index(self.old)


def cargo(target: str, only: str = "") -> Check:
    """Tests of the core."""
    return Check("cargo", target, only)


def pytest(node: str) -> Check:
    """Tests of the package, from the folder `tests` on."""
    return Check("pytest", f"tests/{node}")
