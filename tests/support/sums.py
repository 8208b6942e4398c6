"""Sums of numbers, for apps whose logs are kept in many forms."""

from act_fast import Event, State, action, reducer


class Added(Event):
    number: int


class Sum(State, snapshot_every=5):
    total: int = 0

    @reducer
    def added(self, event: Added) -> None:
        self.total += event.number

    @action
    def add(self, number: int) -> Added:
        return Added(number)

    @action
    def twice(self, number: int) -> list[Added]:
        return [Added(number), Added(number)]
