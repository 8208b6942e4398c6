"""README is run: its Python blocks, in order, in an empty directory; each `print` says what its comment says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.blocks import assert_as_promised, broken_links, python_in, run_blocks

README = Path(__file__).parent.parent / "README.md"

COMMAND_LINE = re.compile(r"^(act-fast [^#|]*)", re.MULTILINE)


def test_readmes_programs_print_what_it_says(tmp_path: Path) -> None:
    ran = run_blocks(README.read_text(), tmp_path)
    for block, printed in ran:
        assert_as_promised(block, printed)
    assert sum(bool(block.promised) for block, _ in ran) >= 2, "README has no programs left to run"


LINES = COMMAND_LINE.findall(README.read_text().partition("## The command")[2].partition("\n## ")[0])
WORKERS = [line for line in LINES if line.startswith("act-fast run ")]
SERVERS = [line for line in LINES if line.startswith("act-fast serve ")]


def test_each_line_of_readmes_commands_is_one_of_them() -> None:
    block = README.read_text().partition("## The command")[2].partition("```sh\n")[2].partition("```")[0]
    assert len(LINES) > 15
    assert [line for line in block.splitlines() if not COMMAND_LINE.match(line)] == []


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A directory in which README's program has run."""
    (tmp_path / "bank.py").write_text("".join(python_in(README.read_text())))
    subprocess.run([sys.executable, "bank.py"], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize("line", [line for line in LINES if line not in WORKERS + SERVERS])
def test_readmes_commands_work_on_its_store(bank: Path, line: str) -> None:
    command, *arguments = shlex.split(line.replace("--follow", "--limit 9").replace("--watch", ""))
    ran = subprocess.run(
        [Path(sys.executable).with_name(command), *arguments], cwd=bank, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout


@pytest.mark.parametrize("line", SERVERS)
def test_readmes_service_starts_and_ends_when_it_is_told_to(bank: Path, line: str) -> None:
    command, *arguments = shlex.split(line)
    served = subprocess.Popen(
        [Path(sys.executable).with_name(command), *arguments, "--port", "0"],
        cwd=bank,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert served.stderr is not None
    told = next((each for each in served.stderr if "served at" in each), "")
    served.terminate()
    served.communicate(timeout=60)
    assert "http://127.0.0.1:" in told
    assert served.returncode == 0


@pytest.mark.parametrize("line", WORKERS)
def test_readmes_workers_start_and_end_when_they_are_told_to(bank: Path, line: str) -> None:
    command, *arguments = shlex.split(line)
    workers = subprocess.Popen(
        [Path(sys.executable).with_name(command), *arguments], cwd=bank, stderr=subprocess.PIPE, text=True
    )
    assert workers.stderr is not None
    told = [workers.stderr.readline() for _ in range(int(arguments[-1]))]
    workers.terminate()
    workers.communicate(timeout=60)
    assert workers.returncode == 0
    assert all("is process" in each for each in told)


def test_every_link_in_readme_leads_somewhere() -> None:
    assert "](" in README.read_text()
    assert broken_links(README) == []


def test_readmes_figures_are_those_that_were_measured() -> None:
    results = (README.parent / "bench" / "RESULTS.md").read_text()
    measured = [float(each.replace(",", "")) for each in re.findall(r"\d[\d,]*\.?\d*", results)]
    figures = README.read_text().partition("## How fast")[2].partition("\n## ")[0]
    claimed = [float(each.replace(",", "")) for each in re.findall(r"\d[\d,]+,000|\d+,\d00", figures)]
    assert len(claimed) >= 10
    assert [each for each in claimed if not any(abs(each - found) < 0.1 * each for found in measured)] == []
