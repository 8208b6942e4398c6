"""Processes of one machine share a replica, and the one that applies is killed."""

import os
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from act_fast.errors import ConcurrencyError, OutcomeUnknownError
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import facts
from tests.support.processes import Tell, started

KILLS = int(os.environ.get("ACT_FAST_KILLS", "3"))
PROCESSES = 3


@pytest.mark.parametrize("turn", range(KILLS))
def test_when_the_process_that_applies_is_killed_the_others_lose_and_double_nothing(tmp_path: Path, turn: int) -> None:
    address = f"dir://{tmp_path}/log?replica={tmp_path}/replica"
    ReplicatedStore(address).close()

    def write(name: int, tell: Tell) -> None:
        """Say what is under way before it is, and what was acknowledged afterwards."""
        with ReplicatedStore(address) as store:
            number = 0
            while not (tmp_path / "end").exists():
                number += 1
                try:
                    if number % 2:
                        store.append(f"own-{name}", [("Counted", f'"{name}.{number}"'.encode())])
                    else:
                        version = store.version("shared")
                        store.append("shared", [("Counted", f'"{name}.{number}"'.encode())], expected_version=version)
                except ConcurrencyError:
                    tell(f"refused {name}.{number}")
                except OutcomeUnknownError:
                    tell(f"unknown {name}.{number}")
                else:
                    tell(f"did {name}.{number} {store._applier.applies}")

    said: list[str] = []
    with started(*(partial(write, name) for name in range(PROCESSES))) as writers:
        heard = [[writer.next_line() for _ in range(20 + turn)] for writer in writers]
        said += [line for lines in heard for line in lines]
        applying = [any(line.endswith(" True") for line in lines) for lines in heard]
        assert sum(applying) == 1
        killed = writers[applying.index(True)]
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        others = [writer for writer in writers if writer is not killed]
        for writer in others:
            said += [writer.next_line() for _ in range(40)]
        (tmp_path / "end").touch()
        for writer in writers:
            while line := writer.next_line():
                said.append(line)
        assert [writer.wait() for writer in others] == [0, 0]

    def of(word: str) -> set[str]:
        return {line.split()[1] for line in said if line.startswith(f"{word} ")}

    with ReplicatedStore(address) as store, ReplicatedStore(address.split("?")[0], tmp_path / "afresh") as afresh:
        there = Counter(data.decode().strip('"') for *_, data, _ in facts(store))
        assert not store.verify().problems
        assert facts(store) == facts(afresh)
    assert set(there.values()) == {1}
    assert of("did") <= there.keys()
    assert not of("refused") & there.keys()
    unsaid = there.keys() - of("did") - of("unknown")
    assert len(unsaid) <= 1  # the killed one was about to say so
