"""Concurrency: appends are guarded by the version that was decided on."""

import threading
from collections.abc import Callable

import pytest

from act_fast import Act, Backoff, ConcurrencyError, Event, State, ValidationError, action, reducer
from tests.support.bank import Account, Deposited, Opened

THREADS = 16
DEPOSITS = 50


def together(count: int, work: Callable[[int], object]) -> list[BaseException]:
    """Run `work` on so many threads at once; what it raised."""
    begin = threading.Barrier(count)
    raised: list[BaseException] = []

    def run(number: int) -> None:
        begin.wait()
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


class Sold(Event):
    to: str


class Ticket(State):
    """Its action lets somebody else go first, as often as it is told to."""

    owner: str = ""

    @reducer
    def sold(self, event: Sold) -> None:
        self.owner = event.to

    @action
    def sell(self, to: str) -> Sold:
        meanwhile.pop()() if meanwhile else None
        return Sold(to)

    @action(retries=2, backoff=Backoff(first=0.0001))
    def sell_again(self, to: str) -> Sold:
        meanwhile.pop()() if meanwhile else None
        return Sold(to)


meanwhile: list[Callable[[], object]] = []


@pytest.fixture
def tickets() -> Act:
    meanwhile.clear()
    return Act("memory:", Ticket)


def let_others_in(app: Act, times: int) -> None:
    meanwhile.extend([lambda: app.store.append("t", [Sold("other")])] * times)


def test_a_pinned_do_at_the_right_version_goes_through(app: Act) -> None:
    app.do(Account.deposit, "account-7", amount=5)
    assert app.expecting(1).do(Account.deposit, "account-7", amount=5).version == 2


def test_a_pinned_do_at_a_wrong_version_is_refused_and_nothing_is_written(app: Act) -> None:
    app.do(Account.deposit, "account-7", amount=5)
    with pytest.raises(ConcurrencyError) as raised:
        app.expecting(0).do(Account.deposit, "account-7", amount=5)
    assert (raised.value.stream, raised.value.expected, raised.value.actual) == ("account-7", 0, 1)
    assert app.store.head == 1


def test_expecting_zero_means_that_the_stream_must_be_new(app: Act) -> None:
    assert app.expecting(0).do(Account.deposit, "account-7", amount=5).version == 1


def test_expecting_leaves_the_app_as_it_was(app: Act) -> None:
    app.expecting(7)
    assert app.do(Account.deposit, "account-7", amount=5).version == 1


@pytest.mark.parametrize("version", [-1, True, "1", 1.0])
def test_a_version_that_is_none_cannot_be_expected(app: Act, version: int) -> None:
    with pytest.raises(ValidationError):
        app.expecting(version)


def test_somebody_faster_is_a_concurrency_error(tickets: Act) -> None:
    let_others_in(tickets, 1)
    with pytest.raises(ConcurrencyError) as raised:
        tickets.do(Ticket.sell, "t", to="me")
    assert (raised.value.expected, raised.value.actual) == (0, 1)
    assert tickets.load(Ticket, "t").state.owner == "other"


def test_an_action_with_retries_loads_and_decides_again(tickets: Act) -> None:
    let_others_in(tickets, 2)
    snapshot = tickets.do(Ticket.sell_again, "t", to="me")
    assert (snapshot.version, snapshot.state.owner) == (3, "me")


def test_retries_come_to_an_end(tickets: Act) -> None:
    let_others_in(tickets, 3)
    with pytest.raises(ConcurrencyError):
        tickets.do(Ticket.sell_again, "t", to="me")
    assert tickets.store.head == 3


@pytest.mark.parametrize("own_first", [0, 1])
def test_a_conflict_on_another_stream_is_the_callers_and_not_decided_again(tickets: Act, own_first: int) -> None:
    def collide() -> None:
        tickets.store.append("elsewhere", [Sold("nobody")], expected_version=7)

    meanwhile.extend([lambda: pytest.fail("decided again"), collide])
    let_others_in(tickets, own_first)
    with pytest.raises(ConcurrencyError) as raised:
        tickets.do(Ticket.sell_again, "t", to="me")
    assert raised.value.stream == "elsewhere"
    assert (tickets.store.head, len(meanwhile)) == (own_first, 1)


def test_a_pinned_do_is_never_decided_again(tickets: Act) -> None:
    let_others_in(tickets, 1)
    with pytest.raises(ConcurrencyError):
        tickets.expecting(0).do(Ticket.sell_again, "t", to="me")
    assert tickets.store.head == 1


def test_of_two_creators_of_a_stream_exactly_one_wins() -> None:
    class Founded(Event):
        by: int

    class Town(State):
        by: int = -1

        @action
        def found(self, by: int) -> Founded:
            gate.wait()
            return Founded(by)

    gate = threading.Barrier(2)
    with Act("memory:", Town) as app:
        raised = together(2, lambda number: app.do(Town.found, "rome", by=number))
        assert [type(error) for error in raised] == [ConcurrencyError]
        assert app.load(Town, "rome").version == 1


def test_no_update_is_lost_when_sixteen_threads_hammer_one_stream(app: Act) -> None:
    def work(_: int) -> None:
        for _ in range(DEPOSITS):
            app.do(Account.deposit_at_last, "account-7", amount=1)

    assert together(THREADS, work) == []
    snapshot = app.load(Account, "account-7")
    assert (snapshot.version, snapshot.state.balance) == (THREADS * DEPOSITS, THREADS * DEPOSITS)


def test_no_update_is_lost_when_two_apps_hammer_one_stream(app: Act) -> None:
    apps = [app, Act(app.store, Account)]

    def work(number: int) -> None:
        for _ in range(DEPOSITS):
            apps[number % 2].do(Account.deposit_at_last, "account-7", amount=1)

    assert together(4, work) == []
    assert [each.load(Account, "account-7").state.balance for each in apps] == [4 * DEPOSITS] * 2


def test_threads_on_streams_of_their_own_do_not_meet(app: Act) -> None:
    def work(number: int) -> None:
        for _ in range(DEPOSITS):
            app.do(Account.deposit, f"account-{number}", amount=number)

    assert together(THREADS, work) == []
    assert [app.load(Account, f"account-{number}").state.balance for number in range(THREADS)] == [
        DEPOSITS * number for number in range(THREADS)
    ]


def test_a_decision_never_rests_on_a_state_that_is_out_of_date(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    app.store.append("account-7", [Opened("Bob"), Deposited(3)])
    snapshot = app.do(Account.deposit, "account-7", amount=4)
    assert (snapshot.state.owner, snapshot.state.balance, snapshot.replayed) == ("Bob", 7, 2)


def test_backoff_grows_from_attempt_to_attempt_and_has_an_end() -> None:
    backoff = Backoff(first=1.0, factor=3.0, longest=20.0, jitter=0.0)
    assert [backoff.wait(attempt) for attempt in (1, 2, 3, 4, 1000)] == [1.0, 3.0, 9.0, 20.0, 20.0]


def test_jitter_shortens_a_wait_by_its_share_at_most() -> None:
    backoff = Backoff(first=1.0, jitter=0.25)
    assert all(0.75 <= backoff.wait(1) <= 1.0 for _ in range(100))


@pytest.mark.parametrize("wrong", [{"first": -1}, {"factor": 0.5}, {"longest": -1}, {"jitter": 2}])
def test_a_backoff_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Backoff(**wrong)


def test_an_action_that_does_what_is_for_its_caller_does_not_hang_when_it_is_decided_again() -> None:
    runs: list[str] = []

    class Meddler(State):
        total: int = 0

        @reducer
        def deposited(self, event: Deposited) -> None:
            self.total += event.amount

        @action(retries=5)
        def outer(self) -> Deposited:
            runs.append("outer")
            if runs.count("outer") == 1:
                app.store.append("m", [Deposited(1)])
            elif runs.count("outer") == 2:
                app.do(Meddler.inner, "m")
            return Deposited(10)

        @action(retries=5)
        def inner(self) -> Deposited:
            runs.append("inner")
            if runs.count("inner") == 1:
                app.store.append("m", [Deposited(100)])
            return Deposited(1000)

    with Act("memory:", Meddler) as app:
        thread = threading.Thread(target=app.do, args=(Meddler.outer, "m"), daemon=True)
        thread.start()
        thread.join(timeout=60)
        assert not thread.is_alive()
        assert app.load(Meddler, "m").state == Meddler(1111)
    assert runs == ["outer", "outer", "inner", "inner", "outer"]
