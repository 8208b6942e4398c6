"""A peer whose library is not installed is absent, with that reason, and the others run."""

from collections.abc import Callable, Sequence
from functools import wraps
from importlib.util import find_spec
from typing import ParamSpec

from bench.harness.duel import Absent, Contender

__all__ = ["needs"]

P = ParamSpec("P")
Maker = Callable[P, Sequence[Contender]]
MakerOrAbsent = Callable[P, Sequence[Contender | Absent]]


def needs(module: str, *names: str) -> Callable[[Maker[P]], MakerOrAbsent[P]]:
    """Decorate what makes the contenders `names` with `module`, which it imports when it is called."""

    def decorate(make: Maker[P]) -> MakerOrAbsent[P]:
        @wraps(make)
        def made(*args: P.args, **kwargs: P.kwargs) -> Sequence[Contender | Absent]:
            if find_spec(module) is None:
                return [Absent(name, f"{module} is not installed: pip install --group bench") for name in names]
            return make(*args, **kwargs)

        return made

    return decorate
