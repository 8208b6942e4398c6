"""What a forked child begins again with."""

import threading

from act_fast._runtime.forks import tell_in_child
from tests.support.processes import Tell, run


class Ending:
    """Something whose end takes a lock of another one."""

    def __init__(self, other: "Inherited") -> None:
        self._other = other

    def __del__(self) -> None:
        with self._other.lock:
            pass


class Inherited:
    """Has a lock, and lets go of something in a child."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: Ending | None = None

    def forked(self) -> None:
        self.lock = threading.Lock()
        self.held = None


class Slotted(Inherited):
    __slots__ = ("kept",)

    def forked(self) -> None:
        self.kept: Ending | None = None
        super().forked()


def test_what_is_let_go_of_in_a_child_ends_when_all_locks_are_new() -> None:
    all_of_them = [kind() for kind in (Inherited, Slotted) for _ in range(8)]
    for one, other in zip(all_of_them, reversed(all_of_them), strict=True):
        one.held = Ending(other)
        if isinstance(one, Slotted):
            one.kept = Ending(other)
        tell_in_child(one)
    others = [each.lock for each in all_of_them]

    def child(tell: Tell) -> None:
        assert all(each.held is None for each in all_of_them)

    for lock in others:
        lock.acquire()
    try:
        run(child)
    finally:
        for lock in others:
            lock.release()
