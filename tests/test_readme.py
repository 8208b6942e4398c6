"""README is run: its Python blocks, in order, in an empty directory; each `print` says what its comment says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.blocks import assert_as_promised, broken_links, python_in, run_blocks

README = Path(__file__).parent.parent / "README.md"

COMMAND_LINE = re.compile(r"^(act-fast [^#|]*)", re.MULTILINE)


def test_readmes_programs_print_what_it_says(tmp_path: Path) -> None:
    ran = run_blocks(README.read_text(), tmp_path)
    for block, printed in ran:
        assert_as_promised(block, printed)
    assert sum(bool(block.promised) for block, _ in ran) >= 2, "README has no programs left to run"


@pytest.mark.parametrize("line", COMMAND_LINE.findall(README.read_text()))
def test_readmes_commands_work_on_its_store(tmp_path: Path, line: str) -> None:
    first_program = python_in(README.read_text())[0]
    (tmp_path / "bank.py").write_text(first_program)
    subprocess.run([sys.executable, "bank.py"], cwd=tmp_path, check=True, capture_output=True)
    command, *arguments = shlex.split(line.replace("--follow", "--limit 9"))
    ran = subprocess.run(
        [Path(sys.executable).with_name(command), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout


def test_every_link_in_readme_leads_somewhere() -> None:
    assert "](" in README.read_text()
    assert broken_links(README) == []
