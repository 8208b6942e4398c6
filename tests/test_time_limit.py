"""A test that hangs is a failure: of itself where a signal reaches it, of the whole run where none does."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent

HOOKS = """
import sys
sys.path.insert(0, {checkout!r})
from tests.conftest import pytest_runtest_call, pytest_runtest_setup, pytest_runtest_teardown
"""


def run_tests(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a program under the hooks of this suite, each for six seconds at most."""
    (folder / "conftest.py").write_text(HOOKS.format(checkout=str(CHECKOUT)))
    (folder / "test_hanging.py").write_text(program)
    settings = ["-o", "faulthandler_timeout=6", "-o", "faulthandler_exit_on_timeout=true"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", *settings, "--rootdir=."]
    return subprocess.run([*command, "."], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_one_that_hangs_fails_and_the_others_go_on(tmp_path: Path) -> None:
    ran = run_tests(
        tmp_path,
        "import pytest, threading\n"
        "@pytest.fixture\n"
        "def slow_to_end():\n"
        "    yield\n"
        "    threading.Event().wait()\n"
        "def test_hangs():\n"
        "    threading.Event().wait()\n"
        "def test_hangs_afterwards(slow_to_end):\n"
        "    pass\n"
        "def test_goes_on():\n"
        "    pass\n",
    )
    assert "1 failed, 2 passed, 1 error" in ran.stdout
    assert ran.stdout.count("NotEnded: after 4.8 seconds the test is here") >= 2


def test_one_that_no_signal_reaches_ends_the_run(tmp_path: Path) -> None:
    ran = run_tests(
        tmp_path,
        "import signal, threading\n"
        "def test_hangs():\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n"
        "    threading.Event().wait()\n",
    )
    assert ran.returncode == 1
    assert "Timeout (0:00:06)!" in ran.stderr
    assert "test_hangs" in ran.stderr


def test_one_that_hangs_while_examples_are_tried_is_not_shrunk(tmp_path: Path) -> None:
    ran = run_tests(
        tmp_path,
        "import threading\n"
        "from hypothesis import given, settings, strategies as st\n"
        "@settings(deadline=None, database=None)\n"
        "@given(st.lists(st.integers()))\n"
        "def test_hangs(numbers):\n"
        "    threading.Event().wait()\n",
    )
    assert "1 failed" in ran.stdout
    assert "NotEnded: after 4.8 seconds the test is here" in ran.stdout


def test_a_command_that_hangs_is_killed_with_all_that_it_has_started() -> None:
    hangs = "sleep 600 & wait"
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bounded", "1", "sh", "-c", hangs],
        cwd=CHECKOUT,
        capture_output=True,  # which ends only once the grandchild, which has the same pipe, is gone
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 1
    assert "has not ended after 1 seconds" in ran.stderr


def test_a_command_that_ends_gives_its_status() -> None:
    command = [sys.executable, "-m", "tests.bounded", "60", "sh", "-c", "exit 3"]
    assert subprocess.run(command, cwd=CHECKOUT, timeout=120, check=False).returncode == 3
