"""The reactions of an app, checked against each other and against its events."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from act_fast._checks.components import Bundle
from act_fast._events.codec import Codec
from act_fast._events.event import Event
from act_fast._reactions.lane import Lane, lanes_by_name
from act_fast._reactions.reaction import Reaction, check_derived
from act_fast._reactions.template import Resolver, resolver_of
from act_fast.errors import DefinitionError, ValidationError
from act_fast.stores.conditions import conditions_of
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import Spec

__all__ = ["Catalog", "Definitions", "codec_of", "lanes_in", "reactions_in"]


class Definitions(Protocol):
    """What an app is made of, as far as its reactions have to know it."""

    @property
    def bundles(self) -> Sequence[Bundle]:
        """The slices and projections, and those that slices are made of."""
        ...

    @property
    def owners(self) -> Mapping[type[Event], type]:
        """The state that each event class belongs to."""
        ...

    @property
    def codec(self) -> Codec:
        """Decodes every event of every state."""
        ...


class Catalog:
    """The reactions of one app. Never changes: adding more makes a new one.

    Attributes:
        reactions: in the order of their registration, which is that of the numbers that leases speak of.
        lanes: by name.
        codec: decodes every event of the app, and of its reactions.
        resolvers: the functions that find targets, by the number of the reaction.
        specs: what the store has to know of each reaction.
    """

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        reactions: Iterable[Reaction],
        lanes: Iterable[Sequence[Lane]],
    ) -> None:
        self.reactions = tuple(reactions)
        self.lanes = lanes_by_name(lanes)
        self.codec = codec_of(definitions, self.reactions)
        self.resolvers: dict[int, Resolver] = {}
        self.specs: list[Spec] = []
        named: dict[str, Reaction] = {}
        for number, reaction in enumerate(self.reactions):
            other = named.setdefault(reaction.name, reaction)
            if other is not reaction:
                raise DefinitionError(
                    f"two reactions are called {reaction.name!r}: {other.place} and {reaction.place}; give one of them"
                    " another name="
                )
            check_derived(reaction.place, reaction.events)
            self._check_lane(reaction)
            _check_source(store, reaction)
            self.specs.append(self._spec(number, reaction))

    def _check_lane(self, reaction: Reaction) -> None:
        if reaction.lane not in self.lanes:
            known = ", ".join(map(repr, self.lanes))
            raise DefinitionError(
                f"{reaction.place}: lane {reaction.lane!r} is not declared (there is {known}); pass the app or the"
                f" slice lanes=[Lane({reaction.lane!r})]"
            )

    def _spec(self, number: int, reaction: Reaction) -> Spec:
        names = [name for name, event in self.codec.classes.items() if event in reaction.events]
        template: str | None = None
        if isinstance(reaction.to, str):
            upcasted = any(self._upcasted(name) for name in names)
            found = resolver_of(f"{reaction.place}: to={reaction.to!r}", reaction.to, reaction.events, upcasted)
            if isinstance(found, str):
                template = found
            else:
                self.resolvers[number] = found
        else:
            self.resolvers[number] = reaction.to
        return (
            reaction.name,
            names,
            template,
            reaction.source,
            reaction.lane,
            reaction.priority,
            reaction.start == "now",
            reaction.tags,
        )

    def _upcasted(self, name: str) -> bool:
        event = self.codec.classes[name]
        return name != event.__stored_name__ or name in event.__upcasts__


def reactions_in(definitions: Definitions) -> Iterator[Reaction]:
    """The reactions that slices and projections bring along."""
    for each in definitions.bundles:
        yield from each.reactions


def lanes_in(definitions: Definitions) -> Iterator[Sequence[Lane]]:
    """The lanes that they declare, each its own."""
    for each in definitions.bundles:
        yield getattr(each, "lanes", ())


def codec_of(definitions: Definitions, reactions: Iterable[Reaction]) -> Codec:
    """Decodes the events of the app, and those of no state of its own that a reaction is for."""
    known = dict.fromkeys(definitions.codec.classes.values())
    strangers = [event for each in reactions for event in each.events if event not in known]
    if not strangers:
        return definitions.codec
    return Codec(dict.fromkeys((*known, *strangers)), definitions.codec.sealer)


def _check_source(store: Store, reaction: Reaction) -> None:
    """Let the store read the pattern and the tags: what they may hold is for the store to say."""
    conditions = conditions_of(reaction.source, reaction.tags)
    if not conditions:
        return
    try:
        next(iter(store.query(limit=0, **conditions)), None)
    except ValidationError as error:
        said = "" if reaction.source is None else f"source={reaction.source!r}: "
        said += f"tags={[*reaction.tags]!r}: " if reaction.tags else ""
        raise DefinitionError(f"{reaction.place}: {said}{error}") from None
