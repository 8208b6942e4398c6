"""A store with data of every kind: tags, keys, sealed fields, snapshots, closed books, timers; and a look for it."""

from datetime import timedelta

from act_fast import Act, Committed, Event, MemoryKeyStore, Personal, State, Subject, Tag, action
from act_fast.stores.port import Store

__all__ = ["EveryKind"]


class Joined(Event):
    user: Subject[str]
    mail: Personal[str]


class Paid(Event):
    cents: int


class Sat(Event):
    seat: Tag[int]


class Guest(State, events=[Joined, Paid, Sat], snapshot_every=2):
    user: Subject[str] = ""
    mail: Personal[str] = ""
    cents: int = 0

    @action
    def join(self, user: str, mail: str) -> Joined:
        return Joined(user, mail)

    @action
    def pay(self, cents: int) -> Paid:
        return Paid(cents)

    @action
    def sit(self, seat: int) -> Sat:
        return Sat(seat)


class EveryKind:
    """What is put into a store, and looked for later.

    Args:
        tags: also events with tags, and keys.
    """

    def __init__(self, *, tags: bool = True) -> None:
        self._tags = tags
        self._keys = MemoryKeyStore()

    def fill(self, store: Store) -> None:
        """Put it into an empty store."""
        app, seen = self._app(store)
        for number in range(4):
            app.do(Guest.join, f"guest-{number}", user=f"u-{number}", mail=f"mail-{number}@example.org")
            app.do(Guest.pay, f"guest-{number}", cents=number)
        app.snapshot(Guest, "guest-1")
        app.restart_stream(Guest, "guest-2")
        app.close_stream(Guest, "guest-3")
        app.settle()
        assert len(seen) == 4
        app.schedule(after=timedelta(days=3), key="later").do(Guest.pay, "guest-0", cents=1000)
        app.schedule(after=timedelta(0), key="now").do(Guest.pay, "guest-0", cents=100)
        if self._tags:
            app.do(Guest.sit, "guest-1", seat=7)
            app.once("paid").do(Guest.pay, "guest-1", cents=5)

    def check(self, store: Store) -> None:
        """Look for it: nothing was lost, and what was to come comes."""
        app, seen = self._app(store)
        cents = [0, 5 if self._tags else 1, 2, 3]
        for number, amount in enumerate(cents):
            state = app.load(Guest, f"guest-{number}").state
            assert (state.user, state.mail, state.cents) == (f"u-{number}", f"mail-{number}@example.org", amount)
        assert {name: found.state.cents for name, found in app.replay(Guest)} == {
            f"guest-{number}": amount for number, amount in enumerate(cents)
        }
        assert app.load(Guest, "guest-3").closed
        assert app.store.latest_snapshot("guest-1") is not None
        if self._tags:
            assert [event.stream for event in store.query(tags=["seat:7"])] == ["guest-1"]
            assert app.once("paid").do(Guest.pay, "guest-1", cents=5).repeated
        app.settle()
        assert [(timer.key, timer.status) for timer in app.timers()] == [("later", "waiting"), ("now", "done")]
        assert app.load(Guest, "guest-0").state.cents == 100
        assert [event.data.cents for event in seen] == ([5, 100] if self._tags else [100]), (
            "what was seen is not seen again"
        )
        assert app.forget("u-0", reason="asked").events == 1
        assert not app.load(Guest, "guest-0").state.mail
        assert store.verify().healthy

    def _app(self, store: Store) -> tuple[Act, list[Committed[Paid]]]:
        seen: list[Committed[Paid]] = []
        app = Act(store, Guest, keys=self._keys)
        app.on(Paid, name="seen")(seen.append)
        return app, seen
