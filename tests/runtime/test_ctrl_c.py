"""Ctrl-C at any bytecode: whatever was going on, the app works afterwards, and every target moves on.

For each thing that is done, points are drawn from all those at which Ctrl-C could come: 40 by default, as many as
ACT_FAST_INTERRUPTS says otherwise.
"""

import os
import random
import signal
import socket
import sys
import threading
from _thread import interrupt_main
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial

import duckdb
import pytest

from act_fast import Act, Committed
from act_fast._runtime.apart import _Work, apart, check_interrupted, in_caller, on_interrupt
from act_fast._runtime.bell import Bell, main_bell
from act_fast._runtime.daemon_threads import Daemons
from act_fast.errors import StoreClosedError
from tests.runtime.ctrl_c import Point, interrupted, points_of
from tests.runtime.ledger import ON_DISK, THINGS_DONE, Ledger
from tests.support.bank import Account, Deposited
from tests.support.processes import Tell, limit_descriptors, needs_proc, run, until

POINTS = int(os.environ.get("ACT_FAST_INTERRUPTS", 40))


def drawn(points: list[Point], dice: random.Random) -> list[Point]:
    """Points at different bytecodes as far as there are any, and others then."""
    dice.shuffle(points)
    by_place = {(point.code, point.at): point for point in points}
    first = list(by_place.values())
    dice.shuffle(first)
    taken = set(first)
    return [*first, *(point for point in points if point not in taken)][:POINTS]


@pytest.mark.parametrize("name", THINGS_DONE)
def test_after_ctrl_c_everything_works_and_moves_on(name: str, dice: random.Random) -> None:
    thing = THINGS_DONE[name]
    on_disk = name in ON_DISK
    warm, traced = Ledger(on_disk), Ledger(on_disk)
    thing(warm)
    points = points_of(lambda: thing(traced))
    for ledger in (warm, traced):
        ledger.check()
        ledger.close()
    came = 0
    chosen = drawn(points, dice)
    for point in chosen:
        ledger = Ledger(on_disk)
        where, error = interrupted(partial(thing, ledger), point)
        came += bool(where)
        try:
            assert not where or is_interrupt(error), f"it raised {error!r}"
            ledger.check()  # while the traceback is there, and so whatever its frames hold, as in a notebook
        except BaseException as failure:
            failure.add_note(f"after Ctrl-C in {where or 'no place'}")
            raise
        ledger.close()
    assert came > len(chosen) / 2


def test_a_close_that_ctrl_c_came_into_is_done_by_the_next(dice: random.Random) -> None:
    traced = Ledger()
    traced.app.settle()
    chosen = drawn(points_of(traced.app.close), dice)
    traced.close()
    for point in chosen:
        ledger = Ledger()
        ledger.app.settle()
        where, error = interrupted(ledger.app.close, point)
        assert not where or is_interrupt(error), f"it raised {error!r} after Ctrl-C in {where}"
        thread = threading.Thread(target=ledger.app.close, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), f"close waits after Ctrl-C in {where}"
        with pytest.raises(StoreClosedError):
            ledger.app.do(Account.deposit, "a", amount=1)
        ledger.close()


REPLACING = {
    "Exchanges.restore",
    "LogStore.restore",
    "LogStore.restore.<locals>.let_go",
    "LogStore._close_reactions",
    "Program.paused",
    "Program._let_go",
    "_GeneratorContextManager.__enter__",
    "_GeneratorContextManager.__exit__",
    "restore_into",
}


@pytest.mark.parametrize("by", ["app", "store"])
def test_ctrl_c_at_each_step_that_replaces_a_log_leaves_it_open(by: str) -> None:
    def restore(ledger: Ledger) -> None:
        (ledger.app if by == "app" else ledger.app.store).restore(ledger.folder / "log.jsonl", replace=True)  # type: ignore[attr-defined]

    def made() -> Ledger:
        ledger = Ledger(on_disk=True)
        ledger.app.settle()
        ledger.app.export(ledger.folder / "log.jsonl")
        return ledger

    traced = made()
    points = [point for point in points_of(partial(restore, traced)) if point.code.co_qualname in REPLACING]
    traced.close()
    assert points
    for point in points:
        ledger = made()
        where, error = interrupted(partial(restore, ledger), point)
        try:
            assert not where or isinstance(error, KeyboardInterrupt), f"it raised {error!r}"
            ledger.check()
        except BaseException as failure:
            failure.add_note(f"after Ctrl-C in {where or 'no place'}")
            raise
        ledger.close()


def is_interrupt(error: BaseException | None) -> bool:
    """Whether this is what Ctrl-C raises; someone who reads a relation of DuckDB's is told so in its words.

    `threading` itself raises another error where it comes before a lock is taken again, as while a thread is started.
    """
    if isinstance(error, RuntimeError) and str(error) == "release unlocked lock":
        return isinstance(error.__context__, KeyboardInterrupt)
    if isinstance(error, duckdb.Error | RuntimeError):
        return "KeyboardInterrupt" in str(error) or str(error) == "Query interrupted"
    return isinstance(error, KeyboardInterrupt)


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("verb", ["settle", "run"])
def test_ctrl_c_while_handlers_are_at_work_loses_nothing(verb: str, at: int) -> None:
    ledger = Ledger()
    heard: list[int] = []

    @ledger.app.on(Deposited, name="more", to="more-{stream}")
    def more(event: Committed[Deposited]) -> None:
        heard.append(event.position)
        if len(heard) == at:
            os.kill(os.getpid(), signal.SIGINT)  # to the process, and so to its main thread

    for _ in range(50):
        ledger.app.do(Account.deposit, "a", amount=1)
    if verb == "settle":
        with pytest.raises(KeyboardInterrupt):
            ledger.app.settle()
    else:
        ledger.app.run()
    ledger.check()
    ledger.close()


def test_a_handler_that_hangs_in_the_thread_that_drains_is_ended_by_ctrl_c() -> None:
    with Act("memory:", Account) as app:

        @app.on(Deposited, name="hangs", to="one")
        def hangs(event: Committed[Deposited]) -> None:
            if not app.blocked_once:  # type: ignore[attr-defined]
                app.blocked_once = True  # type: ignore[attr-defined]
                interrupt_main()
                threading.Event().wait()

        app.blocked_once = False  # type: ignore[attr-defined]
        app.do(Account.deposit, "a", amount=1)
        with pytest.raises(KeyboardInterrupt):
            app.settle()
        assert app.settle().drained.handled == 1


def test_what_is_done_apart_sees_the_context_and_raises_here() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("seen")
    daemons = Daemons("test")
    assert apart(daemons, variable.get) == "seen"
    with pytest.raises(ZeroDivisionError) as raised:
        apart(daemons, lambda: 1 // 0)
    assert "apart" in {entry.name for entry in raised.traceback}
    assert apart(daemons, threading.current_thread) is not threading.current_thread()
    daemons.dismiss()


def test_work_that_was_interrupted_ends_at_the_next_place_where_it_can() -> None:
    daemons = Daemons("test")
    steps: list[int] = []

    def count() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            steps.append(1)
            check_interrupted()

    with pytest.raises(KeyboardInterrupt):
        apart(daemons, count)
    done = len(steps)
    assert done
    daemons.dismiss()
    assert len(steps) == done


# The system may give a signal to any thread. Python only notes it there, and the thread that Ctrl-C is for sleeps on.


def waits_in(function: Callable[..., object]) -> Callable[[], bool]:
    """Answers, in other threads, whether this one is in a function."""
    here = threading.get_ident()
    return lambda: function.__code__ is sys._current_frames()[here].f_code  # type: ignore[attr-defined]


def given_to_this_thread() -> None:
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


@pytest.mark.parametrize("where", [_Work.serve, Bell.sleep])
def test_ctrl_c_that_another_thread_was_given_ends_what_is_done_apart(where: Callable[..., object]) -> None:
    """Also where the main thread sleeps without an end."""
    daemons = Daemons("test")
    asked = threading.Event()
    is_there = waits_in(where)

    def work() -> None:
        with on_interrupt(asked.set):
            until(is_there)
            given_to_this_thread()
            asked.wait()

    with pytest.raises(KeyboardInterrupt):
        apart(daemons, work)
    assert asked.is_set()
    daemons.dismiss()


WAITS: dict[str, Callable[[Ledger], object]] = {
    "run": lambda ledger: ledger.app.run(),
    "wait": lambda ledger: ledger.app.store.wait(after=ledger.app.store.head),  # type: ignore[attr-defined]
    "wait_for": lambda ledger: ledger.app.wait_for(ledger.app.store.head, "each-a"),
}


@pytest.mark.parametrize("verb", WAITS)
def test_ctrl_c_that_another_thread_was_given_ends_a_wait(verb: str) -> None:
    ledger = Ledger()
    ledger.app.correlate()
    thread = threading.Timer(0.1, given_to_this_thread)  # whether it waits by then or not, it has to end
    thread.start()
    if verb == "run":
        WAITS[verb](ledger)
    else:
        with pytest.raises(KeyboardInterrupt):
            WAITS[verb](ledger)
    thread.join()
    ledger.check()
    ledger.close()


def test_a_main_thread_that_sleeps_without_end_is_woken_for_what_is_to_be_called_there_and_by_the_end() -> None:
    daemons = Daemons("test")
    called: list[int] = []
    asleep = waits_in(Bell.sleep)

    def work() -> str:
        for _ in range(3):
            until(asleep)
            in_caller(lambda: called.append(threading.get_ident()))
        until(asleep)
        return "done"

    assert apart(daemons, work) == "done"
    assert called == [threading.get_ident()] * 3
    daemons.dismiss()


def test_a_program_that_has_signals_noted_elsewhere_keeps_that_and_ctrl_c_ends_what_is_done_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemons = Daemons("test")
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno())
    tries: list[bool] = []
    try:
        asked = threading.Event()

        def work() -> None:
            with on_interrupt(asked.set):
                until(lambda: tries)
                given_to_this_thread()
                asked.wait()

        sleep = Bell.sleep

        def noting(bell: Bell, unless: Callable[[], object]) -> bool:
            tries.append(sleep(bell, unless))
            return tries[-1]

        monkeypatch.setattr(Bell, "sleep", noting)
        with pytest.raises(KeyboardInterrupt):
            apart(daemons, work)
        assert set(tries) == {False}
        assert signal.set_wakeup_fd(writing.fileno()) == writing.fileno()
        assert reading.recv(16) == bytes([signal.SIGINT])
    finally:
        signal.set_wakeup_fd(before)
        reading.close()
        writing.close()
        daemons.dismiss()


def test_what_rings_in_a_forked_child_does_not_wake_its_parent() -> None:
    daemons = Daemons("test")
    asleep = waits_in(Bell.sleep)

    def child(tell: Tell) -> None:
        assert signal.set_wakeup_fd(-1) == -1
        assert main_bell._pipe is None
        main_bell.ring()
        assert main_bell.sleep(unless=lambda: True)

    def work() -> None:
        until(asleep)
        run(child)
        assert asleep()

    apart(daemons, work)
    daemons.dismiss()


def note_signals_in_a_pipe_and_close_it() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    os.close(reading)
    os.close(writing)


@needs_proc
@pytest.mark.parametrize("why", ["no descriptor is left", "others have closed where signals are noted"])
def test_a_main_thread_that_cannot_sleep_where_signals_wake_it_looks_for_them(why: str) -> None:
    def child(tell: Tell) -> None:
        limit_descriptors(8)
        daemons = Daemons("test")
        taken = []
        if why == "no descriptor is left":
            with suppress(OSError):
                while True:
                    taken.append(os.open("/dev/null", os.O_RDONLY))
        else:
            assert main_bell.sleep(unless=lambda: True)
            note_signals_in_a_pipe_and_close_it()
        asked = threading.Event()
        sleep, slept = Bell.sleep, list[bool]()

        def noting(bell: Bell, unless: Callable[[], object]) -> bool:
            slept.append(sleep(bell, unless))
            return slept[-1]

        Bell.sleep = noting  # type: ignore[method-assign]

        def work() -> None:
            with on_interrupt(asked.set):
                until(lambda: slept)
                given_to_this_thread()
                asked.wait()

        with pytest.raises(KeyboardInterrupt):
            apart(daemons, work)
        assert not slept[0]
        for each in taken:
            os.close(each)

    run(child)


def test_in_a_thread_that_is_not_pythons_main_one_a_bell_does_not_sleep() -> None:
    """`threading` takes the thread that imports it first for the main one, whichever it is."""
    slept: list[bool] = []
    thread = threading.Thread(target=lambda: slept.append(Bell().sleep(unless=lambda: False)))
    thread.start()
    thread.join()
    assert slept == [False]
