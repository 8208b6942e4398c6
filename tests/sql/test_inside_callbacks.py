"""SQL that a callback of the engine asks: within the call into Python, DuckDB lets go of the interpreter."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, threading
from pathlib import Path
from typing import Any
from act_fast import Act, Event, LogStore, State, reducer, upcast

class Paid(Event, name="Paid_v2"):
    cents: int

    @upcast(from_="Paid")
    @staticmethod
    def from_euros(old: dict[str, Any]) -> dict[str, Any]:
        if inside and old["euros"] == 7:
            raise KeyboardInterrupt if stopping else ValueError("seven")
        return {"cents": sum(round(euros * 100) for euros in [old["euros"]])}

class Bill(State, events=[Paid]):
    cents: int = 0

    @reducer
    def paid(self, event: Paid) -> None:
        self.cents += event.cents

def busy():
    made = []
    while not over.is_set():
        made.append({"a": [1] * 10})
        del made[:-100]

COUNT = 3000
folder, how, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
over, inside, stopping, asked = threading.Event(), False, what == "stopped", 0
# Others run whenever this thread lets them.
sys.setswitchinterval(1e-5)
others = [threading.Thread(target=busy) for _ in range(2)]
for other in others:
    other.start()

def ask(*_):
    global asked, inside
    if asked == 3:
        return
    asked += 1
    inside = True
    try:
        if what == "events":
            for _ in range(5):
                assert app.sql("select sum(cents) from paid").fetchall() == [(COUNT * 100,)]
        elif what == "states":
            for _ in range(5):
                assert app.sql("select sum(cents) from bill").fetchall() == [(COUNT * 100,)]
        elif what == "left":
            for _ in range(20):
                assert app.sql("select cents from paid limit 1").fetchall() == [(100,)]
                assert app.sql("select cents from bill limit 1").fetchall()
        elif what == "failed":
            assert app.sql("select count(error) from paid").fetchall() == [(1,)]
        else:
            try:
                app.sql("select sum(cents) from paid").fetchall()
            except BaseException as error:
                assert "KeyboardInterrupt" in f"{type(error).__name__} {error}", repr(error)
            else:
                raise AssertionError("it was not stopped")
    finally:
        inside = False

try:
    with LogStore(folder / "store.act", durability="os", segment_bytes=1 << 16) as store, Act(store, Bill) as app:
        for number in range(COUNT):
            euros = 7 if what in ("failed", "stopped") and number == COUNT // 2 else 1
            store.append(f"bill-{number % 50}", [("Paid", b'{"euros":%d}' % euros)])
        if how == "verify":
            store.verify(progress=ask)
        elif how == "backup":
            store.backup(folder / "copy.act", progress=ask)
        elif how == "compress":
            store.compress(progress=ask)
        elif how == "archive":
            store.archive(folder / "cold", progress=ask)
        else:
            app.export(folder / "events.jsonl", progress=ask)
    assert asked
finally:
    over.set()
    for other in others:
        other.join()
"""


@pytest.mark.parametrize(
    ("how", "what"),
    [
        *(("verify", what) for what in ("events", "states", "left", "failed", "stopped")),
        *(("archive", what) for what in ("left", "stopped")),
        *((how, "states") for how in ("backup", "compress", "export")),
    ],
)
def test_sql_may_be_asked_while_the_engine_tells_how_far_it_is(tmp_path: Path, how: str, what: str) -> None:
    command = [sys.executable, "-X", "faulthandler", "-c", PROGRAM, str(tmp_path), how, what]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
