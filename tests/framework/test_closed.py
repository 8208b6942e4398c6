"""Closed streams: they can be read as before, and stay closed whatever happens."""

from collections.abc import Iterator

import pytest

from act_fast import Act, Actor, Snapshot, StreamClosedError
from tests.framework.bank import Account, Deposited

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
