"""`act-fast run --stores`: one process works on many stores, also on those that appear later, and on none twice."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import LogStore
from act_fast.cli.tenants import stores_at
from tests.cli.test_run import read_until

APP = """
from act_fast import Act, Event, State

class Sold(Event):
    amount: int

class Till(State, events=[Sold]):
    amount: int = 0

def app_of(path):
    app = Act(path, Till)

    @app.on(Sold, to="mail")
    def mail(event):
        if event.data.amount < 0:
            raise ValueError("a negative sale")
        print(f"{path} {event.data.amount}\\n", end="", flush=True)  # at once, as others print too

    return app

def nothing(path):
    return 7

one = app_of("one.act")
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shops.py").write_text(APP)
    Path("stores").mkdir()


def sell(tenant: str, *amounts: int) -> None:
    with LogStore(f"stores/{tenant}.act") as store:
        store.append("till", [("Sold", b'{"amount":%d}' % amount) for amount in amounts])


def lines(process: "subprocess.Popen[str]", count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def ended(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(60)


def test_all_stores_are_worked_on_and_those_that_appear_later(start: Start) -> None:
    for tenant in ("rome", "oslo", "kiev"):
        sell(tenant, 1)
    worker = start("run", "shops:app_of", "--stores", "stores/*.act", "--look-every", "0.1")
    assert sorted(lines(worker, 3)) == [f"stores/{each}.act 1" for each in ("kiev", "oslo", "rome")]
    sell("rome", 2)  # news of one wakes its own worker
    assert lines(worker, 1) == ["stores/rome.act 2"]
    sell("lima", 3)
    assert lines(worker, 1) == ["stores/lima.act 3"]
    assert ended(worker) == 0


def test_it_begins_without_any_store_and_leaves_other_folders_alone(start: Start) -> None:
    Path("stores/empty.act").mkdir()
    Path("stores/file.act").write_text("no store")
    worker = start("run", "shops:app_of", "--stores", "stores/*.act", "--look-every", "0.1")
    sell("rome", 1)
    assert lines(worker, 1) == ["stores/rome.act 1"]
    assert list(Path("stores/empty.act").iterdir()) == []
    assert ended(worker) == 0


def test_one_that_fails_holds_up_no_other(start: Start) -> None:
    sell("rome", -1)
    sell("oslo", 1)
    worker = start("run", "shops:app_of", "--stores", "stores/*.act", "--look-every", "0.1")
    assert lines(worker, 1) == ["stores/oslo.act 1"]
    sell("../broken", 1)
    for segment in Path("broken.act/log").iterdir():
        segment.write_bytes(b"nonsense" * 1000)
    Path("broken.act/control").unlink()
    Path("broken.act").rename("stores/broken.act")
    read_until(worker, "stores/broken.act: its worker has ended")
    sell("oslo", 2)
    assert lines(worker, 1) == ["stores/oslo.act 2"]
    assert ended(worker) == 0


def test_a_store_that_is_gone_is_let_go_of(start: Start) -> None:
    sell("rome", 1)
    worker = start("run", "shops:app_of", "--stores", "stores/*.act", "--look-every", "0.1", "--log-level", "info")
    assert lines(worker, 1) == ["stores/rome.act 1"]
    assert held(worker.pid) or not Path("/proc").is_dir()
    Path("stores/rome.act").rename("rome.gone")
    shutil.rmtree("rome.gone")
    links = Path("/proc").is_dir()
    deadline = time.monotonic() + 60
    while links and held(worker.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not links or not held(worker.pid)
    assert ended(worker) == 0


def held(parent: int) -> bool:
    """Whether a process that a worker has begun still has files of the store open."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    for pid in found.stdout.split():
        for file in Path(f"/proc/{pid}/fd").glob("*"):
            if file.is_symlink() and "rome" in str(file.readlink()):
                return True
    return False


def test_several_processes_share_the_stores(start: Start) -> None:
    for tenant in ("rome", "oslo"):
        sell(tenant, *range(20))
    worker = start("run", "shops:app_of", "--stores", "stores/*.act", "--workers", "2")
    told = lines(worker, 40)
    for tenant in ("rome", "oslo"):
        assert [each for each in told if tenant in each] == [f"stores/{tenant}.act {n}" for n in range(20)]
    assert ended(worker) == 0


@pytest.mark.parametrize(
    ("app", "told"),
    [("shops:one", "must be a function of a path"), ("shops:nothing", "the function must return an Act")],
)
def test_what_makes_no_app_is_told_at_once(run: Callable[..., object], app: str, told: str) -> None:
    sell("rome", 1)
    ran = run("run", app, "--stores", "stores/*.act")
    assert (ran.code, told in ran.err) == (2, True), ran.err  # type: ignore[attr-defined]


def test_a_store_that_may_not_be_read_keeps_no_other_from_work() -> None:
    folder = Path(tempfile.mkdtemp())
    closed, open_ = folder / "closed.act", folder / "open.act"
    for each in (closed, open_):
        (each / "log").mkdir(parents=True)
    folder.chmod(0o755)
    closed.chmod(0)
    user = os.geteuid()
    try:
        if not user:
            os.seteuid(65534)  # root may read everything
        assert stores_at(f"{folder}/*.act") == [str(open_)]
    finally:
        os.seteuid(user)
        closed.chmod(0o700)
        shutil.rmtree(folder)
