"""What `import act_fast` brings along, which is what it costs: in modules, as a clock says something else each time."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import act_fast

TYPICAL = "from act_fast import Act, Committed, Event, State, action, reducer"
STANDARD_LIBRARY = {
    *("atexit", "contextvars", "copy", "dataclasses", "errno", "fractions", "heapq", "importlib", "logging", "math"),
    *("numbers", "queue", "string", "threading", "traceback", "weakref"),
}
"""What it may import of the standard library, besides what msgspec imports. Modules with an underscore are theirs."""

OWN_MAX = 135
"""So many modules of its own; each costs about as much as each other."""

LATER = {
    *(
        "act_fast._app.async_act",
        "act_fast._app.local_copy",
        "act_fast._loading.replay",
        "act_fast._projections.database",
    ),
    *("act_fast._sql", "act_fast._workers.worker", "act_fast.cli", "act_fast.stores.database", "act_fast.testing"),
}


def imported(program: str) -> set[str]:
    """The modules that a program has imported at its end, besides those that the interpreter and msgspec import."""
    told = f"import msgspec, sys\nbefore = set(sys.modules)\n{program}\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


def test_a_name_is_imported_when_it_is_used() -> None:
    assert imported("import act_fast") == {"act_fast"}
    cheap = {"act_fast", "act_fast.errors"}
    assert {name for name in imported("from act_fast import ValidationError") if "act_fast" in name} == cheap
    assert {name for name in imported("import act_fast; act_fast.errors.ActError") if "act_fast" in name} == cheap
    assert "act_fast.stores" in imported("import act_fast; act_fast.stores")


def test_the_version_is_said_without_what_a_store_needs() -> None:
    program = "from act_fast.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass"
    assert {name.split(".")[1] for name in imported(program) if name.startswith("act_fast.")} <= {
        *("_checks", "_core", "_rows", "cli", "errors"),
    }


def test_only_a_little_of_the_standard_library_is_imported() -> None:
    found = {name.split(".")[0] for name in imported(TYPICAL)} - {"act_fast"}
    assert {name for name in found if not name.startswith("_")} <= STANDARD_LIBRARY


def test_what_most_programs_have_no_use_for_is_left_for_later() -> None:
    found = {name for name in imported(TYPICAL) if name.startswith("act_fast")}
    assert found & LATER == set()
    assert len(found) <= OWN_MAX


def test_an_app_that_acts_and_reads_imports_no_event_loop_and_no_database() -> None:
    program = "import act_fast; act_fast.Act('memory:').close()"
    heavy = {"asyncio", "concurrent.futures", "duckdb", "pyarrow", "rich", "socket", "sqlite3", "ssl"}
    assert imported(program) & heavy == set()


def test_every_public_name_is_there_and_listed() -> None:
    assert [name for name in act_fast.__all__ if not hasattr(act_fast, name)] == []
    assert set(act_fast.__all__) <= set(dir(act_fast))


def test_type_checkers_are_told_the_same_homes_as_the_interpreter() -> None:
    told: dict[str, set[str]] = {}
    for each in ast.walk(ast.parse(Path(act_fast.__file__).read_text())):
        if isinstance(each, ast.ImportFrom) and each.module is not None and each.module.startswith("act_fast."):
            assert all(name.asname is None for name in each.names)
            told.setdefault(each.module, set()).update(name.name for name in each.names)
    assert told == {module: set(names) for module, names in act_fast._HOMES.items()}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'act_fast' has no attribute 'Nothing'"):
        act_fast.Nothing  # type: ignore[attr-defined]  # noqa: B018
