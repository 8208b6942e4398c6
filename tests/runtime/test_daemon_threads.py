"""Threads that a process can end without, and when they end."""

import threading

import pytest

from act_fast._runtime import daemon_threads
from act_fast._runtime.daemon_threads import Daemons
from tests.support.processes import until


def there(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them ends since it has had nothing to do."""
    monkeypatch.setattr(daemon_threads, "_IDLE_SECONDS", 3600.0)


def test_one_whose_work_was_told_of_before_it_came_back_is_gone_when_all_are_dismissed() -> None:
    daemons, told = Daemons("told"), threading.Event()

    def work() -> None:
        told.set()
        threading.Event().wait(0.1)

    daemons.do(work)
    assert told.wait(60)
    daemons.dismiss()
    assert there("told") == 0


@pytest.mark.parametrize("how", ["dismiss", "abandon"])
def test_one_that_is_at_work_when_the_others_are_let_go_ends_once_it_has_done_that(how: str) -> None:
    daemons, begun, go_on, other = Daemons(how), threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(60)

    daemons.do(work)
    daemons.do(other.set)
    assert begun.wait(60)
    assert other.wait(60)
    getattr(daemons, how)()
    until(lambda: there(how) == 1)
    go_on.set()
    until(lambda: there(how) == 0)


def test_work_that_is_given_after_they_were_dismissed_is_done_and_leaves_no_thread() -> None:
    daemons, done = Daemons("later"), [threading.Event() for _ in range(3)]
    daemons.do(done[0].set)
    assert done[0].wait(60)
    daemons.dismiss()
    for each in done[1:]:
        daemons.do(each.set)
        assert each.wait(60)
    until(lambda: there("later") == 0)
