"""Processes append while a subject is forgotten: sealed with a key that is gone, or refused, and never in clear."""

import os
import subprocess
import sys
from pathlib import Path

from act_fast import FORGOTTEN, Act, FileKeyStore
from tests.support.people import Person, Registered, files_with

ROOT = Path(__file__).parents[2]
WRITERS = 3
AFTERWARDS = 10

WRITER = """
import sys
from act_fast import Act, FileKeyStore, SubjectForgottenError
from tests.support.people import Person

me = sys.argv[1]
with FileKeyStore("people.keys") as keys, Act("people.act", Person, keys=keys) as app:
    number, left = 0, None
    while left is None or left:
        number += 1
        left = None if left is None else left - 1
        for user in ("stays", "leaves", f"new-{me}-{number}"):
            try:
                app.do(Person.register, f"{user}-{me}-{number}", user=user, email=f"{user}{number}@secret.example")
                print(user, number, flush=True)
            except SubjectForgottenError:
                print("refused", user, flush=True)
                left = int(sys.argv[2]) if left is None else left
"""


def test_forgetting_beside_processes_that_append(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), str(AFTERWARDS)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    begun = [line for each in writers if each.stdout for line in (each.stdout.readline(), each.stdout.readline())]
    assert len(begun) == 2 * WRITERS
    with FileKeyStore(tmp_path / "people.keys") as keys, Act(tmp_path / "people.act", Person, keys=keys) as app:
        app.forget("leaves", reason="asked")
        head = app.store.head
        told = begun + [line for each in writers for line in each.communicate(timeout=120)[0].splitlines()]
        assert [each.returncode for each in writers] == [0] * WRITERS
        lines = [line.split() for line in told]
        assert sum(line[0] == "refused" for line in lines) >= WRITERS
        assert {line[1] for line in lines if line[0] == "refused"} == {"leaves"}
        events = [*app.query(events=[Registered])]
        found = {event.stream: event.data.email for event in events}
        for user, number in (line for line in lines if line[0] != "refused"):
            kept = [
                email for stream, email in found.items() if stream.startswith(user) and stream.endswith(f"-{number}")
            ]
            assert kept
            assert all(email == (FORGOTTEN if user == "leaves" else f"{user}{number}@secret.example") for email in kept)
        late = [event for event in events if event.position > head and event.data.user == "leaves"]
        assert len(late) <= WRITERS, "at most what was under way when the key was destroyed"
    assert files_with(tmp_path, ["@secret.example"]) == []
