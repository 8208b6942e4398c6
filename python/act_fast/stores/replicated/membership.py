"""Who works on the targets of a store, as the records of the ordered log say it: the same on every replica.

A member joins and gets a generation, says now and then that it is there, and leaves; or it is gone, having been silent
for too long by the times that are in records.
"""

from typing import Final, TypeAlias

import msgspec

__all__ = ["GONE_MS", "THERE_SECONDS", "Joins", "Leaves", "Membership", "Says", "There", "Worker", "read"]

THERE_SECONDS: Final = 2.0
"""How often a member says that it is there."""

GONE_MS: Final = 10_000
"""A member that has said nothing for this long is gone."""

_STILL_MS: Final = 3_000
"""If no record came for longer than this, the log stood still: no member can be blamed for having been silent."""

_KEPT_GONE_MS: Final = 24 * 60 * 60 * 1000
"""For so long it is known who is gone; by then, its leases have run out."""


class Joins(msgspec.Struct, frozen=True, tag_field="says", tag="joins", omit_defaults=True):
    """A member joins.

    Attributes:
        member: an id that it has chosen. If it is there already, its former generation is gone.
        node: its name, for people: host and process.
        holder: the number that its leases are held under.
        reactions: the names of those that it has.
        lanes: those that it works on; None: all.
    """

    member: str
    node: str
    holder: int
    reactions: list[str]
    lanes: list[str] | None = None


class There(msgspec.Struct, frozen=True, tag_field="says", tag="there", omit_defaults=True):
    """A member is there.

    Attributes:
        generation: its own.
        reactions: those that it has by now; None: as before.
        lanes: those that it works on, where `reactions` are said, too; None: all.
        turn: whether it asks the others to let it go first.
    """

    generation: int
    reactions: list[str] | None = None
    lanes: list[str] | None = None
    turn: bool = False


class Leaves(msgspec.Struct, frozen=True, tag_field="says", tag="leaves"):
    """A member leaves.

    Attributes:
        generation: its own.
    """

    generation: int


Says: TypeAlias = Joins | There | Leaves


class Worker(msgspec.Struct):
    """A member that is present.

    Attributes:
        generation: distinguishes it from every other member, past or present.
        member: the id that it has chosen.
        node: its name, for people: host and process.
        holder: the number that its leases are held under.
        reactions: the names of those that it has.
        lanes: those that it works on; None: all.
        heard_ms: when it was last heard from, by the log's time.
        targets: how many targets belong to it, if that was requested.
    """

    generation: int
    member: str
    node: str
    holder: int
    reactions: list[str]
    lanes: list[str] | None
    heard_ms: int
    targets: int | None = None


class Membership(msgspec.Struct):
    """Who is there.

    Attributes:
        place: of the last record that was taken in.
        generation: the last one that was given.
        version: changes with who is there, and what they have.
        now_ms: the time of the records so far.
        members: those that are there, by generation.
        gone: holders that are gone, and since when.
        turn: the member whose turn it is to make a change, and the place where it asked; None: all may.
    """

    place: int = 0
    generation: int = 0
    version: int = 0
    now_ms: int = 0
    members: dict[int, Worker] = {}
    gone: dict[int, int] = {}
    turn: tuple[int, int] | None = None

    def pass_to(self, time_ms: int) -> None:
        """Let time pass up to that of a record; a member that has been silent for too long by then is gone."""
        now_ms = max(self.now_ms, time_ms)
        passed_ms, self.now_ms = now_ms - self.now_ms, now_ms
        if passed_ms > _STILL_MS:
            for each in self.members.values():
                each.heard_ms += passed_ms
        for each in [each for each in self.members.values() if each.heard_ms + GONE_MS <= now_ms]:
            self._end(each)
        for holder in [each for each, since in self.gone.items() if since + _KEPT_GONE_MS < now_ms]:
            del self.gone[holder]

    def hear(self, generation: int) -> bool:
        """Hear of a change of a generation; whether it may make one. 0 is no member's."""
        if generation == 0:
            return True
        found = self.members.get(generation)
        if found is None:
            return False
        found.heard_ms = self.now_ms
        return True

    def changes(self, generation: int) -> bool:
        """Hear of a change of a generation, which ends its turn; whether it may make one."""
        if self.turn is not None and self.turn[0] == generation:
            self.turn = None
        return self.hear(generation)

    def take(self, says: Says) -> None:
        """Take in what a member says."""
        match says:
            case Joins():
                for each in [each for each in self.members.values() if each.member == says.member]:
                    self._end(each)
                self.generation += 1
                self.version += 1
                self.members[self.generation] = Worker(
                    self.generation, says.member, says.node, says.holder, says.reactions, says.lanes, self.now_ms
                )
                self.gone.pop(says.holder, None)
            case There():
                found = self.members.get(says.generation)
                if found is None or not self.hear(says.generation):
                    return
                if says.reactions is not None:
                    found.reactions, found.lanes = says.reactions, says.lanes
                    self.version += 1
                if says.turn and self.turn is None:
                    self.turn = says.generation, self.place
            case Leaves():
                if self.members.pop(says.generation, None) is not None:
                    self._changed()

    def generation_of(self, member: str) -> int | None:
        """The generation of a member, by the id that it has chosen; None if it is not there."""
        return next((each.generation for each in self.members.values() if each.member == member), None)

    def _end(self, member: Worker) -> None:
        del self.members[member.generation]
        self.gone[member.holder] = self.now_ms
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        if self.turn is not None and self.turn[0] not in self.members:
            self.turn = None


def read(body: bytes) -> Says | None:
    """What a member record says; None where it is something else, or of another version."""
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError:
        return None


_DECODER: Final[msgspec.json.Decoder[Says]] = msgspec.json.Decoder(Joins | There | Leaves)
