"""Slices: a feature's states and everything that belongs to them, in one module, included by an app."""

from collections.abc import Sequence
from typing import TypeAlias

from act_fast._projections.projection import Projection
from act_fast._reactions.lane import Lane
from act_fast._reactions.on import Declares
from act_fast._reactions.reaction import Reaction
from act_fast._states.state import State

__all__ = ["Component", "Slice"]


class Slice(Declares):
    """Components that belong together. It holds only definitions, so any number of apps can include it.

        banking = Slice(Account, Transfer)
        app = Act("bank.act", banking)

        @banking.on(Deposited)
        def thank(event: Committed[Deposited]) -> None: ...

    Args:
        components: states, projections, and other slices.
        lanes: the lanes that its reactions need.
    """

    def __init__(self, *components: "Component", lanes: Sequence[Lane] = ()) -> None:
        self.components: tuple[Component, ...] = components
        self.lanes: tuple[Lane, ...] = tuple(lanes)
        self.reactions: list[Reaction] = []

    def _declare(self, reaction: Reaction) -> None:
        self.reactions.append(reaction)

    def __repr__(self) -> str:
        return f"Slice({', '.join(getattr(each, '__qualname__', repr(each)) for each in self.components)})"


Component: TypeAlias = type[State] | Slice | Projection
"""What you can pass to an app: a state class, a slice or a projection."""
