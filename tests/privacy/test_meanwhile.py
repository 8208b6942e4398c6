"""A state is written down though others are forgotten meanwhile: it is loaded again until none has been."""

import inspect
import sys

import pytest

from act_fast import Act, Event, LogStore, MemoryKeyStore, Personal, State, Subject, action

FRAMES = 100


class Joined(Event):
    user: Subject[str]
    email: Personal[str]


class Guest(State):
    user: Subject[str] = ""
    email: Personal[str] = ""

    @action
    def join(self, user: str, email: str) -> Joined:
        return Joined(user, email)


class OthersForget(MemoryKeyStore):
    """Keys of which another program forgets one whenever this one looks, for so many times."""

    times = 0

    def generation(self) -> int:
        """See `KeyStore`."""
        self.times = max(0, self.times - 1)
        return super().generation() - self.times


@pytest.mark.parametrize("verb", ["snapshot", "close_stream", "restart_stream"])
def test_a_state_is_written_down_however_often_others_are_forgotten_meanwhile(verb: str) -> None:
    keys = OthersForget()
    with LogStore.memory() as store, Act(store, Guest, keys=keys) as app:
        app.do(Guest.join, "guest-1", user="ada", email="ada@secret.example")
        keys.times = 50 * FRAMES
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(len(inspect.stack()) + FRAMES)
        try:
            done = getattr(app, verb)(Guest, "guest-1")
        finally:
            sys.setrecursionlimit(limit)
        assert keys.times == 0
        assert done.state.email == "ada@secret.example"
