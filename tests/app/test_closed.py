"""Closed streams: they can be read as before, and stay closed whatever happens."""

from collections.abc import Iterator
from typing import Any

import pytest

from act_fast import Act, Actor, ConcurrencyError, LogStore, Snapshot, StreamClosedError
from tests.support.bank import Account, Deposited

STREAM = "account-7"


@pytest.fixture
def closed(app: Act) -> Iterator[Act]:
    """An app with a stream of two events, the second of which has closed it."""
    app.do(Account.open, STREAM, owner="Ada")
    app.close_stream(Account, STREAM)
    return app


def reopened(app: Act) -> Act:
    """Another app on the same store, which has seen nothing yet."""
    return Act(app.store, Account)


def test_a_snapshot_tells_whether_the_stream_is_closed(app: Act) -> None:
    assert not app.do(Account.open, STREAM, owner="Ada").closed
    assert not app.load(Account, STREAM).closed
    assert app.close_stream(Account, STREAM).closed
    assert app.load(Account, STREAM).closed
    assert reopened(app).load(Account, STREAM).closed
    assert not app.load(Account, "nobody").closed


def test_a_snapshot_tells_whether_the_stream_was_closed_then(closed: Act) -> None:
    assert not closed.load(Account, STREAM, at=1).closed
    assert closed.load(Account, STREAM, at=2).closed
    assert [step.closed for step in closed.history(Account, STREAM)] == [False, True]


def test_what_the_store_takes_behind_the_end_does_not_open_the_stream_again(closed: Act) -> None:
    closed.store.append(STREAM, [Deposited(5)])

    for app in (closed, reopened(closed)):
        with pytest.raises(StreamClosedError):
            app.do(Account.deposit, STREAM, amount=1)
        with pytest.raises(StreamClosedError):
            app.snapshot(Account, STREAM)
        assert app.close_stream(Account, STREAM).version == 3
        assert app.load(Account, STREAM).closed


def test_what_the_store_takes_behind_the_end_is_folded_all_the_same(closed: Act) -> None:
    closed.store.append(STREAM, [Deposited(5)])

    for app in (closed, reopened(closed)):
        assert app.load(Account, STREAM).state.balance == 5
        assert [step.closed for step in app.history(Account, STREAM)] == [False, True, True]
        assert [step.closed for step in app.history(Account, STREAM, after=2)] == [True]


def test_a_stream_stays_closed_over_many_pages(closed: Act) -> None:
    closed.store.append(STREAM, [Deposited(1)] * 2500)
    assert reopened(closed).load(Account, STREAM).closed


def test_who_closed_a_stream_can_be_read(app: Act) -> None:
    app.do(Account.open, STREAM, owner="Ada")
    closed: Snapshot[Account] = app.acting(Actor("u1", "Ada")).close_stream(Account, STREAM)

    assert closed.event is None
    assert closed.meta.actor == Actor("u1", "Ada")


def test_closing_at_another_version_than_expected_is_refused(app: Act) -> None:
    app.do(Account.open, STREAM, owner="Ada")
    for version in (0, 2):
        with pytest.raises(ConcurrencyError) as refused:
            app.expecting(version).close_stream(Account, STREAM)
        assert (refused.value.expected, refused.value.actual) == (version, 1)
    assert app.store.head == 1
    assert app.expecting(1).close_stream(Account, STREAM).closed


def test_closing_what_somebody_else_has_just_appended_to_is_refused() -> None:
    class Racing:
        """A store in which somebody else is faster."""

        def __init__(self, store: LogStore) -> None:
            self._store = store
            self.load, self.version, self.latest_snapshot = store.load, store.version, store.latest_snapshot

        def append(self, stream: str, *args: Any, **kwargs: Any) -> Any:
            self._store.append(stream, [Deposited(1)])
            return self._store.append(stream, *args, **kwargs)

    with LogStore.memory() as store:
        racing: Any = Racing(store)
        with pytest.raises(ConcurrencyError):
            Act(racing, Account).close_stream(Account, STREAM)
        assert store.head == 1
        assert not Act(store, Account).load(Account, STREAM).closed


def test_the_actor_who_closes_is_the_apps_own_or_else_the_contexts(app: Act) -> None:
    ada, ben = Actor("ada"), Actor("ben")
    with app.context(actor=ben):
        of_context = app.close_stream(Account, "account-1")
        of_app = app.acting(ada).close_stream(Account, "account-2")
    nobody = app.close_stream(Account, "account-3")
    assert [each.meta.actor for each in (of_context, of_app, nobody)] == [ben, ada, None]
    action = of_app.meta.action
    assert action is not None
    assert (action.name, action.stream) == ("Account.$closed", "account-2")
    assert of_context.meta.correlation
