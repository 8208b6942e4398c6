"""What `import act_fast` brings along, which is what it costs: in modules, as a clock says something else each time."""

import subprocess
import sys

import pytest

import act_fast

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
    told = f"import msgspec, sys; before = set(sys.modules); {program}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_only_a_little_of_the_standard_library_is_imported() -> None:
    found = {name.split(".")[0] for name in imported("import act_fast")} - {"act_fast"}
    assert {name for name in found if not name.startswith("_")} <= STANDARD_LIBRARY


def test_what_most_programs_have_no_use_for_is_left_for_later() -> None:
    found = {name for name in imported("import act_fast") if name.startswith("act_fast")}
    assert found & LATER == set()
    assert len(found) <= OWN_MAX


def test_an_app_that_acts_and_reads_imports_no_event_loop_and_no_database() -> None:
    program = "import act_fast; act_fast.Act('memory:').close()"
    heavy = {"asyncio", "concurrent.futures", "duckdb", "pyarrow", "rich", "socket", "sqlite3", "ssl"}
    assert imported(program) & heavy == set()


def test_every_public_name_is_there_and_listed() -> None:
    assert [name for name in act_fast.__all__ if not hasattr(act_fast, name)] == []
    assert set(act_fast.__all__) <= set(dir(act_fast))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'act_fast' has no attribute 'Nothing'"):
        act_fast.Nothing  # type: ignore[attr-defined]  # noqa: B018
