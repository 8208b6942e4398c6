"""Loading: the state now, and as it was."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from act_fast import Act, Event, LogStore, State, ValidationError, action, reducer
from tests.support.bank import Account, Deposited, Opened


@pytest.fixture
def busy(app: Act) -> Act:
    """Two accounts whose events alternate, so that versions and positions differ."""
    app.do(Account.open, "account-1", owner="Ada")
    app.do(Account.open, "account-2", owner="Bob")
    for amount in (10, 20, 30):
        app.do(Account.deposit, "account-1", amount=amount)
        app.do(Account.deposit, "account-2", amount=amount * 2)
    return app


def test_a_stream_that_is_not_there_has_the_first_state(app: Act) -> None:
    snapshot = app.load(Account, "nobody")
    assert (snapshot.state, snapshot.version, snapshot.position, snapshot.event) == (Account(), 0, 0, None)


def test_load_gives_the_latest_state(busy: Act) -> None:
    snapshot = busy.load(Account, "account-2")
    assert (snapshot.state.balance, snapshot.version, snapshot.position) == (120, 4, 8)


def test_load_of_a_state_that_is_not_the_apps_lists_what_there_is(app: Act) -> None:
    class Elsewhere(State):
        pass

    with pytest.raises(ValidationError, match="Elsewhere is not a state of this app, which has Account"):
        app.load(Elsewhere, "e")
    with pytest.raises(ValidationError, match=r"'Account' is not a state .* comes first, without quotes"):
        app.load("Account", "e")  # type: ignore[type-var]


@pytest.mark.parametrize(("before", "balance", "version"), [(0, 0, 0), (1, 0, 0), (2, 0, 1), (4, 30, 3), (99, 60, 4)])
def test_before_a_version_that_version_is_not_included(busy: Act, before: int, balance: int, version: int) -> None:
    snapshot = busy.load(Account, "account-1", before=before)
    assert (snapshot.state.balance, snapshot.version) == (balance, version)


@pytest.mark.parametrize(("at", "balance", "version"), [(0, 0, 0), (1, 0, 1), (3, 30, 3), (99, 60, 4)])
def test_at_a_version_that_version_is_included(busy: Act, at: int, balance: int, version: int) -> None:
    snapshot = busy.load(Account, "account-1", at=at)
    assert (snapshot.state.balance, snapshot.version) == (balance, version)


@pytest.mark.parametrize(("position", "balance", "version"), [(0, 0, 0), (1, 0, 1), (2, 0, 1), (3, 10, 2), (5, 30, 3)])
def test_at_a_position_the_log_ends_there(busy: Act, position: int, balance: int, version: int) -> None:
    snapshot = busy.load(Account, "account-1", position=position)
    assert (snapshot.state.balance, snapshot.version) == (balance, version)


def test_before_and_at_a_time(busy: Act) -> None:
    second = busy.load(Account, "account-1", at=2).event
    assert second is not None
    assert busy.load(Account, "account-1", before=second.created).version < 2
    assert busy.load(Account, "account-1", at=second.created).version >= 2
    assert busy.load(Account, "account-1", at=datetime.now(UTC) + timedelta(days=1)).version == 4
    assert busy.load(Account, "account-1", before=second.created - timedelta(days=1)).version == 0


@pytest.mark.parametrize(
    "moment",
    [
        {"before": -1},
        {"before": True},
        {"before": date(2026, 1, 1)},
        {"before": "2"},
        {"at": -1},
        {"at": 1.5},
        {"position": -1},
        {"position": datetime.now(UTC)},
        {"before": datetime(2026, 1, 1)},
        {"at": datetime(2026, 1, 1)},
        {"before": 1, "at": 1},
        {"at": 1, "position": 1},
    ],
)
def test_a_moment_that_is_none_is_refused(busy: Act, moment: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=rf"^(before=, at= and position=|{next(iter(moment))}\b)"):
        busy.load(Account, "account-1", **moment)


def test_a_state_is_named_by_its_class(busy: Act) -> None:
    with pytest.raises(ValidationError, match=r"^an instance of Account is not a state of this app"):
        busy.load(Account(owner="Ada"), "account-1")  # type: ignore[arg-type, type-var]


def test_time_travel_leaves_the_present_alone(busy: Act) -> None:
    busy.load(Account, "account-1", before=2)
    assert busy.load(Account, "account-1").state.balance == 60
    assert busy.do(Account.deposit, "account-1", amount=1).state.balance == 61


def test_time_travel_past_the_cached_version_starts_from_there(busy: Act) -> None:
    busy.store.append("account-1", [Deposited(1), Deposited(2)])
    snapshot = busy.load(Account, "account-1", at=5)
    assert (snapshot.state.balance, snapshot.replayed, snapshot.cached) == (61, 1, True)


def test_history_steps_through_the_states_event_by_event(busy: Act) -> None:
    steps = list(busy.history(Account, "account-1"))
    assert [step.state.balance for step in steps] == [0, 10, 30, 60]
    assert [step.version for step in steps] == [1, 2, 3, 4]
    assert [step.position for step in steps] == [1, 3, 5, 7]
    assert [step.event.data for step in steps if step.event] == [
        Opened("Ada"),
        Deposited(10),
        Deposited(20),
        Deposited(30),
    ]


def test_history_can_begin_and_end_anywhere(busy: Act) -> None:
    steps = list(busy.history(Account, "account-1", after=1, before=4))
    assert [(step.version, step.state.balance) for step in steps] == [(2, 10), (3, 30)]
    assert list(busy.history(Account, "account-1", after=9)) == []


def test_history_refuses_what_is_wrong_at_once(busy: Act) -> None:
    with pytest.raises(ValidationError):
        busy.history(Account, "account-1", after=-1)


class Added(Event):
    item: str


class Renamed(Event):
    item: str
    to: list[str]


class Basket(State, snapshot_every=3):
    items: list[str] = []
    counts: dict[str, int] = {}
    names: dict[str, list[str]] = {}

    @reducer
    def added(self, event: Added) -> None:
        self.items.append(event.item)
        self.counts[event.item] = self.counts.get(event.item, 0) + 1

    @reducer
    def renamed(self, event: Renamed) -> None:
        self.names[event.item] = event.to

    @action
    def add(self, item: str) -> Added:
        return Added(item)

    @action
    def rename(self, item: str, to: list[str]) -> Renamed:
        return Renamed(item, to)


def vandalise(state: Basket) -> None:
    state.items.append("spoilt")
    state.counts.clear()
    for names in state.names.values():
        names.append("spoilt")


def test_a_returned_state_is_the_callers_own() -> None:
    with Act("memory:", Basket, debug=True) as app:
        vandalise(app.do(Basket.add, "b", item="apple").state)
        vandalise(app.do(Basket.rename, "b", item="apple", to=["malus"]).state)
        vandalise(app.load(Basket, "b").state)
        vandalise(app.load(Basket, "b", at=2).state)
        for step in app.history(Basket, "b"):
            vandalise(step.state)
        app.snapshot(Basket, "b")
        expected = Basket(["apple"], {"apple": 1}, {"apple": ["malus"]})
        assert app.load(Basket, "b").state == expected
        with Act(app.store, Basket) as other:
            assert other.load(Basket, "b").state == expected


def test_a_snapshot_always_gives_the_same_state() -> None:
    with Act("memory:", Basket) as app:
        snapshot = app.do(Basket.add, "b", item="apple")
        app.do(Basket.add, "b", item="pear")
        assert snapshot.state is snapshot.state
        assert snapshot.state.items == ["apple"]


def test_two_loads_give_two_states(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    assert app.load(Account, "account-7").state is not app.load(Account, "account-7").state


def test_what_the_caller_does_to_an_argument_later_changes_nothing() -> None:
    with Act("memory:", Basket) as app:
        to = ["malus"]
        app.do(Basket.rename, "b", item="apple", to=to)
        to.append("spoilt")
        assert app.load(Basket, "b").state.names == {"apple": ["malus"]}


def test_a_long_stream_is_folded_page_by_page() -> None:
    with LogStore.memory() as store:
        store.append("account-7", [Opened("Ada"), *[Deposited(1)] * 2500])
        with Act(store, Account) as app:
            snapshot = app.load(Account, "account-7")
            assert (snapshot.version, snapshot.replayed, snapshot.state.balance) == (2501, 2501, 2500)
            assert app.load(Account, "account-7", at=1700).state.balance == 1699


def test_what_was_done_is_there_after_opening_again(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        app.do(Account.open, "account-7", owner="Ada")
    with Act(tmp_path / "bank.act", Account) as app:
        assert app.load(Account, "account-7").state.owner == "Ada"


def test_query_gives_decoded_events_by_class(busy: Act) -> None:
    found = list(busy.query(events=[Deposited], stream="account-2"))
    assert [each.data for each in found] == [Deposited(20), Deposited(40), Deposited(60)]
    assert [each.version for each in found] == [2, 3, 4]
    assert [each.position for each in busy.query(limit=2, backwards=True)] == [8, 7]
    assert list(busy.query(limit=0)) == []
    assert list(busy.query(events=[])) == []


def test_query_for_what_is_no_event_of_the_app_is_refused(busy: Act) -> None:
    with pytest.raises(ValidationError, match="is not an event of this app"):
        busy.query(events=[Added])


@pytest.mark.parametrize("stream", [7, None, ["a"], b"a"])
def test_a_stream_is_named_by_text(app: Act, stream: str) -> None:
    for verb in (app.load, app.history, app.snapshot, app.close_stream):
        with pytest.raises(ValidationError, match="stream must be text"):
            verb(Account, stream)
    with pytest.raises(ValidationError, match="stream must be text"):
        app.do(Account.deposit, stream, amount=1)


def test_the_end_of_time_is_a_moment_too(busy: Act) -> None:
    end = datetime.max.replace(tzinfo=UTC)
    assert busy.load(Account, "account-1", at=end).version == busy.load(Account, "account-1").version
    assert busy.load(Account, "account-1", before=end).version == busy.load(Account, "account-1").version


def test_query_takes_event_classes_in_brackets(busy: Act) -> None:
    with pytest.raises(ValidationError, match="a sequence of event classes; put a single one in brackets"):
        busy.query(events=Deposited)  # type: ignore[arg-type]
