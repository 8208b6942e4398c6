"""A worker in a process of its own, seen from the one that appends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.harness.sizes import CHECKOUT

__all__ = ["ask", "reacting_process", "said"]


@contextmanager
def reacting_process(address: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.stores.reacting_process", address]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert said(process) == "ready"
        yield process
        process.stdin.close()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdin is not None
    print(word, file=process.stdin, flush=True)
    return said(process)
