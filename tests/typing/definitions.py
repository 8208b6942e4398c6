"""Wrong definitions are reported."""

from act_fast import Event, State, action, invariant, reducer, upcast

from .domain import Deposited


class Wrong(State, snapshot_every="100"):  # type: ignore[arg-type, unused-ignore]
    total: int = 0

    @reducer  # type: ignore[type-var]
    def no_event(self, event: int) -> None: ...

    @reducer  # type: ignore[arg-type]
    def returning(self, event: Deposited) -> int:
        return event.amount

    @reducer
    def misreading(self, event: Deposited) -> None:
        self.total = event.sum  # type: ignore[attr-defined]

    @action  # type: ignore[type-var]
    def deciding_nothing_known(self) -> int:
        return 1

    @invariant("says whether", always=True)  # type: ignore[arg-type]
    def saying(self) -> str:
        return "yes"


def wrong_keywords() -> None:
    action(retry=3)  # type: ignore[call-overload]
    invariant(1)  # type: ignore[arg-type]
    upcast("Deposited")  # type: ignore[call-arg]


def an_event_takes_what_it_declares() -> None:
    Deposited("x")  # type: ignore[arg-type]
    Deposited()  # type: ignore[call-arg]
    Deposited(1, 2)  # type: ignore[call-arg]
    Deposited(1).amount = 2  # type: ignore[misc]


def an_event_class_stays_an_event_class() -> type[Event]:
    return Deposited
