"""When the books of a stream are closed without anybody's asking for that stream."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from act_fast.errors import DefinitionError

__all__ = ["Retire"]


class Retire(msgspec.Struct, frozen=True):
    """When the books of a state's streams are closed, as a state class says with `retire=`; `Act.retire` does it.

        class Cart(State, retire=Retire(after=timedelta(days=90), when=lambda cart: cart.paid)): ...

    Attributes:
        after: how long nothing must have been appended to a stream.
        when: of the state, whether it is to be closed; None: whatever it is.
        keep: given the state, returns the one to go on from, as `carry=` of `Act.restart_stream`. None closes the
            stream for good.
    """

    after: timedelta
    when: Callable[[Any], bool] | None = None
    keep: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.after, timedelta) or self.after <= timedelta(0):
            raise DefinitionError("Retire(after=…) takes a positive timedelta")
        for name in ("when", "keep"):
            if (given := getattr(self, name)) is not None and not callable(given):
                raise DefinitionError(f"Retire({name}=…) takes a function of the state")
