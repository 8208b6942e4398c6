"""Definitions in a module whose annotations are text."""

from __future__ import annotations

from act_fast import Act, Event, State, action, invariant, reducer
from act_fast.testing import given


class Opened(Event):
    owner: str


class Account(State):
    owner: str = ""
    notes: list[str] = []

    @reducer
    def opened(self, event: Opened) -> None:
        self.owner = event.owner

    @invariant("the account is new")
    def is_new(self) -> bool:
        return not self.owner

    @action(requires=[is_new])
    def open(self, owner: str, notes: list[str] | None = None) -> Opened | None:
        return Opened(owner)


def test_annotations_may_be_text() -> None:
    with Act("memory:", Account, debug=True) as app:
        assert app.do(Account.open, "account-7", owner="Ada").state.owner == "Ada"


def test_classes_of_a_function_are_found() -> None:
    class Counted(Event):
        number: int

    class Counter(State):
        number: int = 0

        @reducer
        def counted(self, event: Counted) -> None:
            self.number = event.number

        @action
        def count(self) -> Counted:
            return Counted(self.number + 1)

    given(Counter).when(Counter.count).then(Counted(1)).when(Counter.count).then(Counted(2)).state(number=2)


def counters() -> type[State]:
    class Counted(Event):
        number: int

    class Counter(State):
        number: int = 0

        @reducer
        def counted(self, event: Counted) -> None:
            self.number = event.number

        @action
        def count(self) -> Counted:
            return Counted(self.number + 1)

    return Counter


def test_what_is_inherited_was_understood_where_it_was_written() -> None:
    class Louder(counters()):  # type: ignore[misc]
        pass

    given(Louder).when(Louder.count).state(number=1)
