"""A process that can start no thread for a while: what was asked then fails, and everything works once it can again."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from act_fast import Act, Committed, Lane, Slice
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard
from tests.support.processes import until
from tests.support.working import working

PATIENCE_SECONDS = 60.0


@contextmanager
def no_threads() -> Iterator[None]:
    """No thread can be started: there is no room for so large a stack."""
    before = threading.stack_size(1 << 50)
    try:
        yield
    finally:
        threading.stack_size(before)


def test_whoever_waits_for_news_afterwards_is_woken() -> None:
    async def main(app: Act) -> int:
        with no_threads(), pytest.raises(RuntimeError, match="thread"):
            await app.store.wait_async(after=0)  # type: ignore[attr-defined]
        waiting = asyncio.ensure_future(app.store.wait_async(after=0))  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        await asyncio.to_thread(app.do, Account.deposit, "a", amount=1)
        return await asyncio.wait_for(waiting, PATIENCE_SECONDS)  # type: ignore[no-any-return]

    with Act("memory:", Account) as app:
        assert asyncio.run(main(app)) == 1


def test_a_lane_that_is_declared_meanwhile_is_worked_on_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    with Act("memory:", Account) as app, working(app):
        until(lambda: app._program._workers)
        later = Slice(lanes=[Lane("mail")])
        later.on(Deposited, name="mail", lane="mail", to="mail")(heard)
        with no_threads():
            app.include(later)
            until(lambda: "start new thread" in caplog.text)
        app.do(Account.deposit, "a", amount=1)
        heard.await_that(lambda: heard.positions == [1])


def test_leases_are_renewed_and_let_go_of_afterwards() -> None:
    heard: list[int] = []

    with Act("memory:", Account, lanes=[Lane("default", lease=1.0)]) as app:

        @app.on(Deposited, to="slow", retries=0)
        def slow(event: Committed[Deposited]) -> None:
            (taken,) = app.targets("slow")
            assert taken.lease_seconds is not None
            ends = threading.Event()
            ends.wait(2.0)  # longer than the lease, which somebody else could have then
            (found,) = app.targets("slow")
            assert found.holder is not None
            heard.append(event.position)

        app.do(Account.deposit, "a", amount=1)
        errors: list[BaseException] = []

        def settle() -> None:
            with no_threads():
                try:
                    app.settle(concurrency=1)
                except RuntimeError as error:
                    errors.append(error)

        thread = threading.Thread(target=settle)  # that of the main thread would need another one
        thread.start()
        thread.join()
        assert errors
        assert not heard
        until(lambda: app.settle(concurrency=1) and heard)
        assert heard == [1]
        (target,) = app.targets("slow")
        assert (target.lag, target.blocked) == (0, False)


WITHOUT_THREADS_OF_THE_CORE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from act_fast import Act, Event, LogStore, State, action, total

class Deposited(Event):
    amount: int

class Account(State):
    balance: int = total(Deposited.amount)

path, durability = sys.argv[1:]
with Act(LogStore(path, durability=durability), Account) as app:
    def fill(number):
        for _ in range(250):
            app.store.append(f"a-{number}", [("Deposited", b'{"amount":1}')] * 40)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, range(8)))
    assert {each.state.balance for _, each in app.replay(Account)} == {10000}
    print(app.sql("select sum(balance) from account").fetchall())
    try:
        app.sql("select sum(amount) from deposited").fetchall()
    except Exception as error:
        print("starting a thread" in str(error))
"""


@pytest.mark.parametrize("durability", ["fsync", "interval"])
def test_appends_and_replays_need_no_threads_of_the_core(tmp_path: Path, durability: str) -> None:
    # So large a stack there is no room for either.
    environment = os.environ | {"RUST_MIN_STACK": str(1 << 46)}
    command = [sys.executable, "-c", WITHOUT_THREADS_OF_THE_CORE, str(tmp_path / "bank.act"), durability]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, "panicked" in done.stderr) == (0, False), done.stderr
    assert done.stdout.splitlines() == ["[(80000,)]", "True"]
