"""The floors of the Rust core: which folder may use which, and that no file uses itself by a detour.

The reader knows paths that begin with `crate::` or `super::`, which is how modules of the core name each other. Unit
tests at the end of a file do not count.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.test_layers import circles

CORE = Path(__file__).parents[1] / "rust" / "core" / "src"

BASE = {"bytes", "clock", "correlation", "error", "fault", "names", "options", "pattern", "sparse"}

FLOORS: dict[str, set[str]] = {
    "payload": BASE,
    "disk": BASE,
    "shared": BASE | {"disk", "log"},
    "log": BASE | {"disk", "shared"},
    "index": BASE | {"disk", "shared", "log"},
    "reaction_files": BASE | {"disk", "shared", "index"},
    "recovery": BASE | {"disk", "shared", "log", "index", "reaction_files"},
    "store": BASE | {"disk", "shared", "log", "index", "reaction_files", "recovery"},
    "write": BASE | {"disk", "shared", "log", "index", "store", "payload"},
    "foreign": BASE | {"write"},
    "read": BASE | {"disk", "shared", "log", "index", "store"},
    "fold": BASE | {"payload", "log", "index", "store", "read"},
    "reactions": BASE | {"disk", "shared", "payload", "log", "index", "store", "read", "reaction_files"},
    "replica": BASE | {"disk", "shared", "payload", "log", "index", "store", "read", "write"},
    "transfer": BASE
    | {"disk", "shared", "log", "index", "store", "read", "write", "payload", "reaction_files", "recovery"},
}
"""What the files of each folder may use, besides each other."""

_PATH = re.compile(r"\b(crate|super)((?:::\w+)+)(?:::\{([^{}]*)\})?")


def modules(source: Path) -> dict[str, Path]:
    """The modules of a crate, by path below it."""
    found = {}
    for path in sorted(source.rglob("*.rs")):
        parts = path.relative_to(source).with_suffix("").parts
        found["::".join(parts[:-1] if parts[-1] == "mod" else parts)] = path
    return found


def uses(module: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules that a file names."""
    code = path.read_text().partition("#[cfg(test)]\nmod tests")[0]
    code = re.sub(r"//.*", "", code)
    parent = module.split("::")[:-1]
    for start, inner, group in _PATH.findall(code):
        stem = [*(parent if start == "super" else []), *inner.strip(":").split("::")]
        paths = [stem, *([*stem, *each.split()[0].split("::")] for each in group.split(",") if each.split())]
        for parts in paths:
            sizes = range(len(parts), 0, -1)
            inside = next((found for size in sizes if (found := "::".join(parts[:size])) in known), None)
            if inside not in (None, module, "lib"):
                assert inside is not None
                yield inside


def arrows(source: Path) -> dict[str, set[str]]:
    """Which modules each module uses."""
    known = modules(source)
    return {module: set(uses(module, path, known)) for module, path in known.items() if module != "lib"}


def upwards(graph: dict[str, set[str]]) -> list[str]:
    """The uses that the table does not allow."""
    found = []
    for module, others in graph.items():
        floor = module.split("::")[0]
        allowed = FLOORS.get(floor, BASE | {"disk"} if floor == "options" else BASE)
        for other in sorted(others):
            target = other.split("::")[0]
            if target != floor and target not in allowed:
                found.append(f"{module} uses {other}")
    return found


def test_the_core_points_downwards_only() -> None:
    assert upwards(arrows(CORE)) == []


def test_no_file_of_the_core_uses_itself_by_a_detour() -> None:
    assert circles(arrows(CORE)) == []


def plant(folder: Path, files: dict[str, str]) -> Path:
    for name, code in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    return folder


def test_a_planted_use_upwards_is_found(tmp_path: Path) -> None:
    source = plant(tmp_path, {"payload/json.rs": "use crate::store::log::Log;\n", "store/log.rs": "pub struct Log;\n"})
    assert upwards(arrows(source)) == ["payload::json uses store::log"]


def test_a_planted_circle_of_files_is_found(tmp_path: Path) -> None:
    source = plant(
        tmp_path,
        {
            "index/mod.rs": "mod key;\nmod hash;\n",
            "index/key.rs": "use super::hash::hash;\n",
            "index/hash.rs": "fn late() { let _ = crate::index::key::Key; }\n",
        },
    )
    assert circles(arrows(source)) == [{"index::hash", "index::key"}]
