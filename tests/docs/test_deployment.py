"""What the deployment page gives to copy is right: its commands with their options, and settings that go together."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from act_fast.cli.main import _files, _parser

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "deployment.md").read_text()
BLOCKS = {
    title: text for title, text in re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
}


def commands() -> list[list[str]]:
    """The arguments of `act-fast` wherever a block that is no Python calls it, as the system would hand them over."""
    found = []
    for title, text in BLOCKS.items():
        for line in text.splitlines():
            if title == "Dockerfile" and line.startswith("CMD ["):
                words = re.findall(r'"([^"]+)"', line)
            elif title.endswith(".py") or not re.search(r"(^|[/ ])act-fast ", line) or "pip install" in line:
                continue
            else:
                words = shlex.split(line[re.search(r"act-fast ", line).start() :])  # type: ignore[union-attr]
            found.append(words[1:])
    return found


@pytest.mark.parametrize("arguments", commands(), ids=lambda each: each[0])
def test_every_command_is_one_that_there_is(arguments: list[str]) -> None:
    assert callable(_parser(_files(arguments)).parse_args(arguments).run)


def test_the_commands_of_every_block_are_seen() -> None:
    assert sorted(each[0] for each in commands()) == [
        *("backup", "health", "health", "run", "run", "run", "verify"),
    ]


@pytest.mark.parametrize("name", ["bank", "tenants"])
def test_the_system_waits_for_longer_than_the_handlers_get(name: str) -> None:
    unit = BLOCKS[f"/etc/systemd/system/{name}-workers.service"]
    grace, patience = re.search(r"--grace (\d+)", unit), re.search(r"TimeoutStopSec=(\d+)", unit)
    assert grace is not None
    assert patience is not None
    assert int(patience[1]) > int(grace[1])


def test_the_store_is_where_the_units_may_write() -> None:
    unit, image = BLOCKS["/etc/systemd/system/bank-workers.service"], BLOCKS["Dockerfile"]
    assert "BANK_STORE=/var/lib/bank/" in unit
    assert "StateDirectory=bank" in unit
    assert re.search(r"BANK_STORE=(/data)/", image)
    assert "VOLUME /data" in image


def test_the_cluster_waits_for_longer_than_the_handlers_get() -> None:
    pod = BLOCKS["bank.yaml"]
    grace, patience = re.search(r'--grace, "(\d+)"', pod), re.search(r"terminationGracePeriodSeconds: (\d+)", pod)
    assert grace is not None
    assert patience is not None
    assert int(patience[1]) > int(grace[1])
    assert "replicas: 1" in pod
    assert "ReadWriteOncePod" in pod


UNITS = {Path(title).name: text for title, text in BLOCKS.items() if title.startswith("/etc/systemd/")}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    there = Path(sys.executable).with_name("act-fast")
    for name, text in UNITS.items():
        own = text.replace("/srv/bank/.venv/bin/act-fast", str(there)).replace("/usr/local/bin/bank-backup", str(there))
        (tmp_path / name).write_text(own.replace("User=bank", "User=root"))
    (tmp_path / "notify@.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    units = [str(tmp_path / name) for name in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or line.startswith(("bank", "tenants"))]
    assert (done.returncode, ours) == (0, []), done.stderr


def started(unit: str, folder: Path) -> list[str]:
    """The command of a unit, on stores of the test's own."""
    found = re.search(r"^ExecStart=(.*)$", UNITS[unit], re.MULTILINE)
    assert found is not None
    command, *rest = shlex.split(found[1].replace("/var/lib/bank/", f"{folder}/").replace("%%", "%"))
    return [str(Path(sys.executable).with_name(Path(command).name)), *rest]


TENANTS = """
from act_fast import Act
from bank_app import Account, Deposited

def app_of(path):
    app = Act(path, Account)
    app.on(Deposited, name="audit")(lambda event: print("audited", event.data.amount, flush=True))
    return app
"""


@pytest.mark.parametrize("unit", ["bank-workers.service", "tenants-workers.service"])
def test_the_workers_of_a_unit_work_and_end_gracefully(
    unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BANK_STORE", str(tmp_path / "bank.act"))
    Path("bank_app.py").write_text(BLOCKS["bank_app.py"])
    Path("tenants_app.py").write_text(TENANTS)
    act = "from bank_app import Account, bank; bank().do(Account.deposit, 'account-7', amount=50); bank().close()"
    subprocess.run([sys.executable, "-c", act], check=True)
    with subprocess.Popen(
        started(unit, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as workers:
        assert workers.stdout is not None
        assert workers.stdout.readline() == "audited 50\n"
        workers.send_signal(signal.SIGTERM)
        workers.communicate(timeout=60)
    assert workers.returncode == 0
    healthy = subprocess.run(started("bank-health.service", tmp_path), capture_output=True, text=True, check=False)
    assert (healthy.returncode, healthy.stdout.startswith("healthy")) == (0, True), healthy.stdout


def test_the_backup_script_makes_copies_that_are_whole_and_keeps_the_last(tmp_path: Path) -> None:
    (tmp_path / "bank_app.py").write_text(BLOCKS["bank_app.py"])
    act = "from bank_app import Account, bank; bank().do(Account.deposit, 'account-7', amount=50); bank().close()"
    subprocess.run([sys.executable, "-c", act], cwd=tmp_path, check=True)
    kept = tmp_path / "kept"
    for day in range(1, 16):
        (kept / f"2020-01-{day:02}T000000Z.act").mkdir(parents=True)
    script = BLOCKS["/usr/local/bin/bank-backup"].replace("/var/backups/bank", str(kept))
    script = script.replace("/var/lib/bank/", f"{tmp_path}/")
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, env={"PATH": path})
    assert done.returncode == 0, done.stderr
    names = sorted(each.name for each in kept.iterdir())
    assert len(names) == 14
    assert names[0] == "2020-01-03T000000Z.act"
    assert names[-1] > "2021"
