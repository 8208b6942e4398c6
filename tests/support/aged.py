"""A store that has aged: its log is archived and compressed in part, events were pruned, a person was forgotten."""

from pathlib import Path

from act_fast import Act, Event, MemoryKeyStore, Personal, State, Subject, action

__all__ = ["Member", "aged"]


class Joined(Event):
    user: Subject[str]
    mail: Personal[str]


class Paid(Event):
    cents: int


class Member(State, events=[Joined, Paid]):
    user: Subject[str] = ""
    mail: Personal[str] = ""
    cents: int = 0

    @action
    def join(self, user: str, mail: str) -> Joined:
        return Joined(user, mail)

    @action
    def pay(self, cents: int) -> Paid:
        return Paid(cents)


def aged(folder: Path) -> Act:
    """The app of such a store, `shop.act`, whose archive is `cold`.

    Of its 49 events, 3 have sealed fields, 11 were pruned and 1 was redacted. The last 6 are hot, the 10 before them
    compressed, all others archived.
    """
    app = Act(folder / "shop.act", Member, keys=MemoryKeyStore())
    for number in range(3):
        app.do(Member.join, f"member-{number}", user=f"u-{number}", mail=f"mail-{number}@example.org")
    for number in range(20):
        app.do(Member.pay, f"member-{number % 2}", cents=number)
    app.restart_stream(Member, "member-0")  # 24
    app.prune()  # 25
    app.redact([5], fields={"cents": 0}, reason="a test")  # 26
    app.forget("u-2", reason="a test")  # 27
    _pay(app, 6)
    app.compress(seal=True)
    app.archive(folder / "cold")
    _pay(app, 10)
    app.compress(seal=True)
    _pay(app, 6)
    return app


def _pay(app: Act, times: int) -> None:
    for number in range(times):
        app.do(Member.pay, "member-1", cents=number)
