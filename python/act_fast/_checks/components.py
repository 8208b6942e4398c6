"""The components of an app, and those that they are made of."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeGuard, runtime_checkable

__all__ = ["Bundle", "each_of", "is_bundle"]


@runtime_checkable
class Bundle(Protocol):
    """A component that is no class: made of others, it may bring reactions along. A slice, a projection."""

    @property
    def components(self) -> Sequence[Any]:
        """What it is made of."""
        ...

    @property
    def reactions(self) -> Sequence[Any]:
        """The reactions that it brings along."""
        ...


def is_bundle(component: object) -> TypeGuard[Bundle]:
    """Whether a component is made of others; a class is not, whatever its instances are."""
    return not isinstance(component, type) and isinstance(component, Bundle)


def each_of(components: Iterable[object]) -> Iterator[object]:
    """Components, each before those that it is made of."""
    for each in components:
        yield each
        if is_bundle(each):
            yield from each_of(each.components)
