"""`@rotorsoft/act` on its SQLite store: the same account, and reactions to it, in a process of node that awaits a word.

Its in-memory store is no peer: it sleeps in every call, by design, so that its users' tests meet real interleavings.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.harness.duel import Absent, Body, Contender

__all__ = ["act_deposits", "act_reactions"]

NAME = "@rotorsoft/act, SQLite"
DURABILITY = "power cut: WAL, synchronous FULL"
HERE = Path(__file__).resolve().parent / "act"
QUIET = {"NODE_ENV": "production", "LOG_LEVEL": "error"}


def act_deposits(accounts: int, actions_each: int) -> Sequence[Contender | Absent]:
    """Deposits into open accounts in turn, one `do` after another; what it is like is said by `account.mjs`."""
    return in_node("account.mjs", "bank.db", accounts, actions_each)


def act_reactions(streams: int, events_each: int) -> Sequence[Contender | Absent]:
    """One function called for each event, a target for each stream; what it is like is said by `reactions.mjs`."""
    return in_node("reactions.mjs", "react.db", streams, events_each)


def in_node(script: str, file: str, streams: int, each: int) -> Sequence[Contender | Absent]:
    if not (HERE / "node_modules" / "@rotorsoft").is_dir():
        return [Absent(NAME, "its packages are not installed: npm ci --prefix bench/peers/act")]
    own = HERE / "node_modules" / ".bin" / "node"
    node = str(own) if own.exists() else shutil.which("node")
    if node is None:
        return [Absent(NAME, "there is no node")]

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        command = [node, script, str(path.resolve() / file), str(streams), str(each)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=HERE, env=os.environ | QUIET, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            expect(process.stdout, "ready")
            yield lambda: tell_to_start(process.stdin, process.stdout)

    return [Contender(NAME, DURABILITY, streams * each, prepare)]


def tell_to_start(stdin: IO[str], stdout: IO[str]) -> None:
    print("go", file=stdin, flush=True)
    expect(stdout, "done")


def expect(stdout: IO[str], word: str) -> None:
    said = stdout.readline().strip()
    assert said == word, f"act was to say {word}, and said {said!r}"
