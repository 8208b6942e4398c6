"""The floors of the package: each may import what stands above it, and no file imports itself by a detour.

The table is the map in `docs/design.md`. Imports are read from the source, so those that only type checkers see and
those inside functions count as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "python" / "act_fast"
ROOT = "act_fast"

BASE = {"errors", "_rows", "_core", "_checks"}
EVENTS = BASE | {"_events"}
STORES = EVENTS | {"stores"}
PRIVACY = EVENTS | {"_runtime", "_privacy"}
STATES = EVENTS | {"_runtime", "_declared", "_states"}
MODEL = STATES | {"stores", "_model"}
LOADING = MODEL | {"_loading"}
REACTIONS = STORES | {"_runtime", "_timers", "_reactions"}
WORKERS = REACTIONS | {"_workers"}
DATABASES = {"stores.database", "stores.mysql", "stores.postgres"}
EVERYTHING = (
    LOADING
    | WORKERS
    | DATABASES
    | PRIVACY
    | {"stores.log", "stores.ordered", "stores.replicated", "_projections", "_sql", "_app"}
)

FLOORS: dict[str, set[str]] = {
    "errors": set(),
    "_rows": set(),
    "_core": {"_rows"},
    "_checks": {"errors"},
    "_runtime": {"errors", "_checks"},
    "_events": BASE,
    "stores": EVENTS,
    "_privacy": PRIVACY - {"_privacy"},
    "stores.log": STORES | {"_runtime", "stores.ordered"},
    "stores.ordered": BASE | {"stores", "_runtime"},
    "stores.database": STORES | {"_runtime"},
    "stores.mysql": STORES | {"_runtime", "stores.database"},
    "stores.postgres": STORES | {"_runtime", "stores.database"},
    "stores.replicated": STORES | {"_runtime", "stores.database", "stores.log", "stores.ordered"},
    "_timers": STORES | {"_runtime"},
    "_declared": EVENTS,
    "_states": EVENTS | {"_runtime", "_declared"},
    "_model": MODEL - {"_model"},
    "_loading": MODEL,
    "_reactions": REACTIONS - {"_reactions"},
    "_workers": REACTIONS,
    "_projections": WORKERS | {"_declared", "_states"},
    "_sql": LOADING | {"_reactions", "_timers"},
    "_app": EVERYTHING - {"_app"},
    ROOT: EVERYTHING,
    "testing": EVERYTHING | {ROOT},
    "monitoring": EVERYTHING | {ROOT},
    "serving": EVERYTHING | {ROOT, "monitoring"},
    "webhooks": EVERYTHING | {ROOT},
    "jupyter": EVERYTHING | {ROOT},
    "inspector": EVERYTHING | {ROOT, "monitoring"},
    "cli": EVERYTHING | {ROOT, "monitoring", "serving", "inspector"},
}
"""What each package may import, besides itself. `act_fast` is the package's own `__init__`."""


def modules(package: Path) -> dict[str, Path]:
    """The modules of a package, by dotted name below it; a folder's own `__init__` has the folder's name."""
    found = {}
    for path in sorted([*package.rglob("*.py"), *package.glob("*.pyi")]):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts) or ROOT] = path
    return found


def floor_of(module: str) -> str:
    """The package of the table that a module belongs to."""
    parts = module.split(".")
    return next(found for size in (2, 1) if (found := ".".join(parts[:size])) in FLOORS)


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            deeper = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [each if each.removeprefix(f"{ROOT}.") in known else node.module for each in deeper]
        else:
            continue
        for name in names:
            inside = ROOT if name == ROOT else name.removeprefix(f"{ROOT}.")
            if name.split(".")[0] == ROOT and inside in known:
                yield inside


def arrows(package: Path) -> dict[str, set[str]]:
    """Which modules each module imports."""
    known = modules(package)
    return {module: set(imports(path, known)) - {module} for module, path in known.items()}


def upwards(graph: dict[str, set[str]]) -> list[str]:
    """The imports that the table does not allow."""
    return [
        f"{module} imports {other}: {floor_of(module)} may not import {floor_of(other)}"
        for module, others in graph.items()
        for other in sorted(others)
        if floor_of(other) != floor_of(module) and floor_of(other) not in FLOORS[floor_of(module)]
    ]


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules each of which leads to all others."""
    reach = {module: {module} for module in graph}
    changed = True
    while changed:
        changed = False
        for module, others in graph.items():
            further = set().union(reach[module], *(reach[other] for other in others))
            changed |= further != reach[module]
            reach[module] = further
    found = []
    for module in graph:
        circle = {other for other in reach[module] if module in reach[other]}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def test_arrows_point_downwards_only() -> None:
    assert upwards(arrows(PACKAGE)) == []


def test_no_file_imports_itself_by_a_detour() -> None:
    assert circles(arrows(PACKAGE)) == []


def plant(folder: Path, files: dict[str, str]) -> Path:
    package = folder / ROOT
    for name, source in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return package


@pytest.mark.parametrize(
    "source",
    [
        "from act_fast._workers.worker import Worker\n",
        "import act_fast._workers.worker\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from act_fast._workers.worker import Worker\n",
        "def later():\n    from act_fast._workers import worker\n",
    ],
    ids=["plain", "whole", "typing", "lazy"],
)
def test_a_planted_import_upwards_is_found(tmp_path: Path, source: str) -> None:
    package = plant(tmp_path, {"_events/event.py": source, "_workers/worker.py": "class Worker: ...\n"})
    assert upwards(arrows(package)) == ["_events.event imports _workers.worker: _events may not import _workers"]


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    package = plant(
        tmp_path,
        {
            "_sql/a.py": "from act_fast._sql.b import B\n",
            "_sql/b.py": "from act_fast._sql import c\n",
            "_sql/c.py": "def late():\n    from act_fast._sql.a import A\n",
        },
    )
    assert circles(arrows(package)) == [{"_sql.a", "_sql.b", "_sql.c"}]
