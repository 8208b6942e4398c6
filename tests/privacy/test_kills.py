"""A process may die at any step that it takes on a key store: no key is lost, and none comes back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.privacy.kills import SCENARIOS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("scenario", [each.__name__ for each in SCENARIOS])
def test_whatever_the_step(scenario: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.privacy.kills", scenario, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.split()[0]) >= 4, ran.stdout
