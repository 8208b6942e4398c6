"""Evolution: the log keeps what was written, and the classes of today read it."""

import logging
from typing import Any

import pytest

from act_fast import Act, Committed, Event, LogStore, State, ValidationError, action, reducer, upcast


@pytest.fixture
def store() -> LogStore:
    return LogStore.memory()


def written(store: LogStore, *events: tuple[str, bytes]) -> LogStore:
    """The store after an older release has written to it."""
    store.append("s", events)
    return store


def test_the_stored_name_is_the_class_name_unless_it_is_given(store: LogStore) -> None:
    class Joined(Event):
        who: str

    class Departed(Event, name="Left"):
        who: str

    class Club(State):
        who: str = ""

        @action
        def pass_through(self, who: str) -> list[Joined | Departed]:
            return [Joined(who), Departed(who)]

    Act(store, Club).do(Club.pass_through, "club", who="Ada")
    assert [each.name for each in store.load("club")] == ["Joined", "Left"]


def test_a_class_that_moved_and_was_renamed_reads_what_it_wrote_before(store: LogStore) -> None:
    class SomebodyJoined(Event, name="Joined"):
        who: str

    class Club(State):
        who: str = ""

        @reducer
        def joined(self, event: SomebodyJoined) -> None:
            self.who = event.who

    written(store, ("Joined", b'{"who":"Ada"}'))
    assert Act(store, Club).load(Club, "s").state.who == "Ada"


def test_added_fields_take_their_defaults(store: LogStore) -> None:
    class Joined(Event):
        who: str
        since: int = 2013

    class Club(State, events=[Joined]):
        who: str = ""
        since: int = 0

    written(store, ("Joined", b'{"who":"Ada"}'))
    assert Act(store, Club).load(Club, "s").state == Club("Ada", 2013)


def test_fields_that_are_no_more_are_left_out(store: LogStore) -> None:
    class Joined(Event):
        who: str

    class Club(State, events=[Joined]):
        who: str = ""

    written(store, ("Joined", b'{"who":"Ada","fee":5}'))
    assert Act(store, Club).load(Club, "s").state == Club("Ada")


def test_an_event_that_does_not_decode_is_an_error_with_its_place_and_the_field_but_no_value(store: LogStore) -> None:
    class Joined(Event):
        who: str

    class Club(State, events=[Joined]):
        who: str = ""

    written(store, ("Joined", b'{"who":"Ada"}'), ("Joined", b'{"who":4711}'))
    with pytest.raises(ValidationError) as raised:
        Act(store, Club).load(Club, "s")
    assert "stored as 'Joined' does not decode as" in str(raised.value)
    assert "field 'who': expected `str`, got `int`" in str(raised.value)
    assert "version 2 of stream 's'" in str(raised.value)
    assert "4711" not in str(raised.value)


class Paid(Event):
    euros: int


class Paid_v2(Event):
    cents: int


class Till(State):
    cents: int = 0

    @reducer
    def paid(self, event: Paid) -> None:
        self.cents += event.euros * 100

    @reducer
    def paid_v2(self, event: Paid_v2) -> None:
        self.cents += event.cents

    @action
    def pay(self, cents: int) -> Paid_v2:
        return Paid_v2(cents)

    @action
    def pay_the_old_way(self) -> Event:
        return Paid(1)


def test_an_old_version_of_an_event_still_reduces(store: LogStore) -> None:
    app = Act(written(store, ("Paid", b'{"euros":2}')), Till)
    assert app.do(Till.pay, "s", cents=5).state.cents == 205
    assert [each.name for each in store.load("s")] == ["Paid", "Paid_v2"]


def test_an_action_may_not_return_an_old_version(store: LogStore) -> None:
    with pytest.raises(ValidationError, match="returned Paid, which Paid_v2 has replaced; return that one"):
        Act(store, Till).do(Till.pay_the_old_way, "s")
    with pytest.raises(ValidationError, match="pay returns Paid, which Paid_v2 has replaced"):

        class Wrong(State, events=[Paid_v2]):
            @action
            def pay(self) -> Paid:
                return Paid(1)


@pytest.mark.parametrize("suffix", ["_v0", "_v1", "_v02"])
def test_a_version_that_cannot_be_put_in_order_is_refused(suffix: str) -> None:
    class Odd(Event, name=f"Odd{suffix}"):
        pass

    with pytest.raises(ValidationError, match="cannot be put in order"):

        class Keeper(State, events=[Odd]):
            pass


class Bought(Event, name="Bought_v2"):
    cents: int
    currency: str = "EUR"

    @upcast(from_="Bought")
    @staticmethod
    def from_euros(old: dict[str, Any]) -> dict[str, Any]:
        return {"cents": old["euros"] * 100}


class Cart(State):
    cents: int = 0
    currency: str = ""

    @reducer
    def bought(self, event: Bought) -> None:
        self.cents += event.cents
        self.currency = event.currency

    @action
    def buy(self, cents: int) -> Bought:
        return Bought(cents)


def test_an_upcaster_runs_in_load_do_history_and_query(store: LogStore) -> None:
    app = Act(written(store, ("Bought", b'{"euros":2}')), Cart)
    assert app.load(Cart, "s").state == Cart(200, "EUR")
    assert app.do(Cart.buy, "s", cents=5).state.cents == 205
    assert [step.state.cents for step in app.history(Cart, "s")] == [200, 205]
    assert [each.data for each in app.query(events=[Bought])] == [Bought(200), Bought(5)]
    first = app.load(Cart, "s", at=1).event
    assert first is not None
    assert (first.name, first.data) == ("Bought", Bought(200))


def test_an_upcaster_runs_in_replay_reactions_and_snapshots(store: LogStore) -> None:
    app = Act(written(store, ("Bought", b'{"euros":2}')), Cart)
    handled: list[Event] = []

    @app.on(Bought, to="all")
    def note(event: Committed[Bought]) -> None:
        handled.append(event.data)

    app.do(Cart.buy, "s", cents=5)
    app.settle()
    assert handled == [Bought(200), Bought(5)]
    assert [(stream, snapshot.state) for stream, snapshot in app.replay(Cart)] == [("s", Cart(205, "EUR"))]
    app.snapshot(Cart, "s")
    assert Act(store, Cart).load(Cart, "s").state == Cart(205, "EUR")


def test_what_is_upcasted_can_be_had_as_json_again(store: LogStore) -> None:
    codec = Act(store, Cart)._codec
    assert codec.upcasted("Bought", b'{"euros":2}') == ("Bought_v2", b'{"cents":200,"currency":"EUR"}')
    assert codec.upcasted("Bought_v2", b'{"cents":2}') == ("Bought_v2", b'{"cents":2}')
    assert codec.upcasted("Unknown", b"{}") == ("Unknown", b"{}")


def test_an_upcaster_can_be_called_like_the_function_it_is() -> None:
    assert Bought.from_euros({"euros": 3}) == {"cents": 300}


class Sent_v3(Event):
    to: list[str]


class Sent_v2(Event):
    to: str


@upcast(from_="Sent_v2")
def several_receivers(old: Sent_v2) -> Sent_v3:
    return Sent_v3([old.to])


@upcast(from_="Sent")
def plain_receiver(old: dict[str, Any]) -> Sent_v2:
    return Sent_v2(old["receiver"])


class Post(State, events=[Sent_v3]):
    to: list[str] = []


def test_upcasters_of_a_module_are_chained(store: LogStore) -> None:
    app = Act(
        written(store, ("Sent", b'{"receiver":"a"}'), ("Sent_v2", b'{"to":"b"}'), ("Sent_v3", b'{"to":["c"]}')), Post
    )
    assert [step.state.to for step in app.history(Post, "s")] == [["a"], ["b"], ["c"]]


class Moved(Event):
    metres: int

    @upcast(from_="Moved")
    @staticmethod
    def in_metres(old: dict[str, Any]) -> dict[str, Any]:
        return {"metres": old["km"] * 1000} if "km" in old else old


class Walker(State, events=[Moved]):
    metres: int = 0

    @action
    def walk(self, metres: int) -> Moved:
        return Moved(metres)


def test_an_upcaster_from_the_same_name_sees_old_and_new(store: LogStore) -> None:
    app = Act(written(store, ("Moved", b'{"km":2}'), ("Moved", b'{"metres":5}')), Walker)
    assert app.do(Walker.walk, "s", metres=7).state.metres == 7
    assert [step.state.metres for step in app.history(Walker, "s")] == [2000, 5, 7]


def test_an_upcaster_may_name_the_class_it_stands_in(store: LogStore) -> None:
    class Lent(Event, name="Lent_v2"):
        days: int

        @upcast(from_="Lent")
        @staticmethod
        def from_weeks(old: dict[str, Any]) -> "Lent":
            return Lent(old["weeks"] * 7)

    class Book(State, events=[Lent]):
        days: int = 0

    store.append("b", [("Lent", b'{"weeks": 2}')])
    assert Act(store, Book).load(Book, "b").state.days == 14


def test_what_an_upcaster_makes_is_checked_like_anything_stored(store: LogStore) -> None:
    class Rated(Event, name="Rated_v2"):
        stars: int

        @upcast(from_="Rated")
        @staticmethod
        def from_words(old: dict[str, Any]) -> dict[str, Any]:
            return {"stars": old["words"]}

    class Film(State, events=[Rated]):
        stars: int = 0

    with pytest.raises(ValidationError, match="field 'stars': expected `int`, got `str`"):
        Act(written(store, ("Rated", b'{"words":"superb"}')), Film).load(Film, "s")


def test_an_upcaster_that_raises_names_event_stream_and_version(store: LogStore) -> None:
    with pytest.raises(KeyError) as raised:
        Act(written(store, ("Bought", b"{}")), Cart).load(Cart, "s")
    assert raised.value.__notes__ == ["while folding Bought, version 1 of stream 's', into Cart"]


def test_old_events_that_are_reduced_and_upcasted_are_an_error_that_names_both_places() -> None:
    class Bought(Event):
        euros: int

    class Both(State, events=[Bought, globals()["Bought"]]):
        pass

    with pytest.raises(ValidationError, match=r"events stored as 'Bought' are claimed by .*Bought and by .*Bought"):
        Act("memory:", Both)


def test_two_upcasters_from_one_name_are_an_error() -> None:
    with pytest.raises(ValidationError, match="already does that for"):

        class Twice(Event):
            @upcast(from_="Once")
            @staticmethod
            def one(old: dict[str, Any]) -> dict[str, Any]:
                return old

            @upcast(from_="Once")
            @staticmethod
            def two(old: dict[str, Any]) -> dict[str, Any]:
                return old


def test_an_upcaster_that_says_not_what_it_makes_is_an_error() -> None:
    with pytest.raises(ValidationError, match="must return the new event's class"):

        @upcast(from_="Old")
        def nowhere(old: dict[str, Any]) -> dict[str, Any]:
            return old

    with pytest.raises(ValidationError, match=r"New\.of is a class method; make it a static one"):

        class New(Event):
            @upcast(from_="Old")
            @classmethod
            def of(cls, old: dict[str, Any]) -> dict[str, Any]:
                return old

    with pytest.raises(ValidationError, match="takes the old data and returns the new event, both annotated"):

        @upcast(from_="Old")
        def bare(old):  # type: ignore[no-untyped-def]
            return old


class Known(Event):
    number: int


class Keeper(State, events=[Known]):
    number: int = 0


def strange(store: LogStore) -> LogStore:
    return written(
        store, ("Known", b'{"number":1}'), ("Strange", b"{}"), ("Strange", b"{}"), ("Known", b'{"number":2}')
    )


def test_unknown_events_are_left_out_with_one_warning(store: LogStore, caplog: pytest.LogCaptureFixture) -> None:
    snapshot = Act(strange(store), Keeper).load(Keeper, "s")
    assert (snapshot.state.number, snapshot.version) == (2, 4)
    assert len(caplog.records) == 1
    assert "version 2 of stream 's' is stored as 'Strange', which Keeper does not know" in caplog.text


def test_unknown_events_are_skipped_without_a_word(store: LogStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "act_fast"):
        assert Act(strange(store), Keeper, unknown="skip").load(Keeper, "s").version == 4
    assert not caplog.records


def test_unknown_events_are_an_error_if_asked_for(store: LogStore) -> None:
    with pytest.raises(ValidationError, match="version 2 of stream 's' is stored as 'Strange'"):
        Act(strange(store), Keeper, unknown="raise").load(Keeper, "s")


def test_what_becomes_of_unknown_events_is_one_of_three(store: LogStore) -> None:
    with pytest.raises(ValidationError, match="unknown must be one of 'warn', 'skip', 'raise', not 'ignore'"):
        Act(store, Keeper, unknown="ignore")  # type: ignore[arg-type]
