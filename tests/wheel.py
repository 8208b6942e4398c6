"""Tests a wheel as people get it: `python -m tests.wheel WHEEL [TESTS …]`. Needs nothing but the standard library.

First it is installed alone, with what it depends on and nothing else, and a program runs on it. Then the tests that are
named run on it, in the same environment, with the tools that they need and the extras of WHEEL_EXTRAS (all). WHEEL
may be a folder with one wheel in it.
"""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / "target" / "wheel-env"
PYTHON = ENVIRONMENT / "bin" / "python"
TOOLS = ["hypothesis>=6", "pytest>=9", "pytest-asyncio>=1", "pytest-xdist>=3.8", "tzdata"]

PROGRAM = """
import sys
from act_fast import Act, Committed, Event, State

class Deposited(Event):
    amount: int

class Account(State, events=[Deposited]):
    amount: int = 0

with Act("bank.act", Account) as app:
    heard = []

    @app.on(Deposited, to="audit-{stream}")
    def audit(event: Committed[Deposited]) -> None:
        heard.append(event.data.amount)

    app.store.append("account-7", [Deposited(50)])
    app.settle()
    assert app.load(Account, "account-7").state.amount == 50
    assert heard == [50]
    assert app.store.verify().healthy
assert not {"duckdb", "rich"} & set(sys.modules)
"""


def main() -> None:
    named, *tests = sys.argv[1:]
    wheel = the_wheel(Path(named).resolve())
    check_contents(wheel)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    pip("install", "--upgrade", "pip")
    pip("install", str(wheel))
    check_alone()
    extras = os.environ.get("WHEEL_EXTRAS") or "all"
    pip("install", f"act-fast[{extras}] @ {wheel.as_uri()}", *TOOLS)
    print(f"{wheel.name}: it works alone; now its tests", flush=True)
    sys.exit(run(str(PYTHON), "-m", "pytest", "-q", "--numprocesses", "2", "--dist", "loadfile", *tests))


def the_wheel(named: Path) -> Path:
    found = [named] if named.is_file() else sorted(named.glob("*.whl"))
    if len(found) != 1:
        sys.exit(f"there must be one wheel at {named}, not {len(found)}")
    return found[0]


def check_contents(wheel: Path) -> None:
    """The wheel holds the package, its types, its licence and the list of what it is made of, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    roots = {name.partition("/")[0] for name in names}
    info = next(root for root in roots if root.endswith(".dist-info"))
    wanted = {"act_fast/py.typed", "act_fast/_core.pyi", f"{info}/licenses/LICENSE", f"{info}/METADATA"}
    missing = sorted(wanted - set(names))
    if missing or roots != {"act_fast", info}:
        sys.exit(f"{wheel.name} lacks {missing or 'nothing'}, and has {sorted(roots)}")
    if not any(name.startswith(f"{info}/sboms/") for name in names):
        sys.exit(f"{wheel.name} does not list what it was made of")


def check_alone() -> None:
    """Nothing but msgspec came along, and a program and the command work."""
    pip("check")
    told = "from importlib.metadata import distributions; print(*(each.name for each in distributions()))"
    listed = subprocess.run([PYTHON, "-c", told], check=True, capture_output=True, text=True)
    came = set(listed.stdout.split()) - {"pip", "setuptools"}
    if came != {"act-fast", "msgspec"}:
        sys.exit(f"installed with the wheel: {sorted(came)}")
    folder = ENVIRONMENT / "work"
    folder.mkdir()
    for command in ([PYTHON, "-I", "-c", PROGRAM], [PYTHON.with_name("act-fast"), "info", "bank.act"]):
        subprocess.run(command, cwd=folder, check=True)


def pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    if run(*command):
        sys.exit(f"pip {' '.join(arguments)} has failed")


def run(*command: str) -> int:
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    main()
