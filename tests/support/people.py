"""People and what is personal about them, for tests of sealing and forgetting."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from act_fast import Event, Personal, Sealing, State, Subject, action, count, last, reducer

SECRETS = (
    "ada@example.org",
    "Ada Lovelace",
    "12 St James's Square",
    "+44 20 5550 0001",
    "plays the harp",
    "1815-12-10",
)


class Address(msgspec.Struct, frozen=True):
    street: Personal[str]
    city: str


class Registered(Event):
    user: Subject[str]
    email: Annotated[Personal[str], Sealing(lookup=True)]
    name: Personal[str]
    address: Address | None = None
    phones: list[Personal[str]] = msgspec.field(default_factory=list)
    notes: dict[str, Personal[str]] = msgspec.field(default_factory=dict)
    born: Personal[str] | None = None
    plan: str = "free"


class Visited(Event):
    user: Subject[str]
    pages: int


class Person(State, snapshot_every=2):
    user: Subject[str] = ""
    email: Personal[str] = ""
    plan: str = ""
    pages: int = 0

    @reducer
    def registered(self, event: Registered) -> None:
        self.user = event.user
        self.email = event.email
        self.plan = event.plan

    @reducer
    def visited(self, event: Visited) -> None:
        self.pages += event.pages

    @action
    def register(self, user: str, email: str, name: str = "Ada Lovelace") -> Registered:
        return Registered(
            user,
            email,
            name,
            Address("12 St James's Square", "London"),
            ["+44 20 5550 0001"],
            {"music": "plays the harp"},
            "1815-12-10",
        )

    @action
    def visit(self, pages: int) -> Visited:
        return Visited(self.user, pages)


class Renamed(Event):
    user: Subject[str]
    name: Personal[str]


class Profile(State):
    """Declared, where a forgotten value gives nothing."""

    name: Personal[str] | None = last(Renamed.name)
    changes: int = count(Renamed)

    user: Subject[str] = ""

    @action
    def rename(self, user: str, name: str) -> Renamed:
        return Renamed(user, name)


def files_with(folder: str | os.PathLike[str], needles: Iterable[str]) -> list[str]:
    """The files below a folder in which one of some texts is."""
    wanted = [each.encode() for each in needles]
    return [
        str(path)
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and any(each in path.read_bytes() for each in wanted)
    ]
