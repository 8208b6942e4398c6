"""Slices: a feature's states together with what belongs to them, in one module, included by an app."""

from typing import TypeAlias

from act_fast._state import State

__all__ = ["Component", "Slice"]


class Slice:
    """Components that go together. It holds definitions only, so any number of apps can include it.

        banking = Slice(Account, Transfer)
        app = Act("bank.act", banking)

    Args:
        components: states, and other slices.
    """

    def __init__(self, *components: "Component") -> None:
        self.components = components

    def __repr__(self) -> str:
        return f"Slice({', '.join(getattr(each, '__qualname__', repr(each)) for each in self.components)})"


Component: TypeAlias = type[State] | Slice
"""What an app is made of."""
