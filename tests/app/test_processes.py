"""Several processes with apps on one store."""

import os
import subprocess
import sys
from pathlib import Path

from act_fast import Act, ConcurrencyError
from tests.support.bank import Account

PROCESSES = 3
DEPOSITS = 60
PROGRAM = """
import sys
from act_fast import Act
from tests.support.bank import Account

with Act(sys.argv[1], Account) as app:
    for _ in range(int(sys.argv[2])):
        app.do(Account.deposit_at_last, "account-7", amount=1)
"""


def test_no_update_is_lost_when_several_processes_hammer_one_stream(tmp_path: Path) -> None:
    path = tmp_path / "bank.act"
    with Act(path, Account) as app:
        command = [sys.executable, "-c", PROGRAM, str(path), str(DEPOSITS)]
        others = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(PROCESSES)]
        for _ in range(DEPOSITS):
            app.do(Account.deposit_at_last, "account-7", amount=1)
        assert [other.wait(60) for other in others] == [0] * PROCESSES

        snapshot = app.load(Account, "account-7")
        assert snapshot.version == (PROCESSES + 1) * DEPOSITS
        assert snapshot.state.balance == (PROCESSES + 1) * DEPOSITS


def test_what_another_process_commits_is_seen_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bank.act"
    with Act(path, Account) as app:
        app.do(Account.open, "account-7", owner="Ada")
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(path), "3"], cwd=Path(__file__).parents[2], check=True, timeout=60
        )
        snapshot = app.load(Account, "account-7")
        assert (snapshot.state.owner, snapshot.state.balance, snapshot.replayed, snapshot.cached) == ("Ada", 3, 3, True)


HAMMER = """
import sys
from act_fast import Act
from tests.support.bank import Account

app = Act(sys.argv[1], Account)
while True:
    print(app.do(Account.deposit_at_last, "account-7", amount=1).version, flush=True)
"""
KILLS = int(os.environ.get("ACT_FAST_KILLS", "12"))


def test_what_a_killed_process_was_about_to_publish_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "bank.act"
    with Act(path, Account) as app:
        for _ in range(KILLS):
            hammer = subprocess.Popen(
                [sys.executable, "-c", HAMMER, str(path)], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE
            )
            assert hammer.stdout is not None
            for _ in range(10):
                hammer.stdout.readline()
            hammer.kill()
            acknowledged = hammer.stdout.read().split()
            hammer.wait()
            hammer.stdout.close()
            try:
                snapshot = app.do(Account.deposit, "account-7", amount=1)
            except ConcurrencyError:  # its last commit was written, and nobody had seen it yet
                snapshot = app.do(Account.deposit, "account-7", amount=1)
            assert snapshot.version == snapshot.state.balance
            assert snapshot.version > max(map(int, acknowledged), default=0)
