"""What the figures were measured on: figures without it say nothing."""

import json
import os
import platform
import sqlite3
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.harness.sizes import CHECKOUT, Sizes

__all__ = ["facts"]

LIBRARIES = ("act-fast", "msgspec", "duckdb", "eventsourcing", "lmdb", "umadb", "pytest-benchmark")


def facts(sizes: Sizes) -> dict[str, str]:
    """The machine, the versions, the sizes and the day."""
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    libraries = [f"{name} {installed}" for name in LIBRARIES if (installed := version_of(name))]
    libraries.append(f"SQLite {sqlite3.sqlite_version}")
    libraries += [f"{name} {pinned}" for name, pinned in packages_of_node().items()]
    return {
        "date": date.today().isoformat(),
        "revision": revision(),
        "processor": f"{processor()}, {os.cpu_count()} cores, {memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, load before the run {load}",
        "file system": file_system(sizes.directory),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Rust": said_by("rustc", "--version"),
        "libraries": ", ".join(libraries),
        "sizes": f"{sizes.open_events:,} events in the large store, {sizes.rounds} rounds, scale {sizes.scale:g}",
    }


def packages_of_node() -> dict[str, str]:
    """What the peers in JavaScript are, if they are installed."""
    folder = CHECKOUT / "bench" / "peers" / "act"
    if not (folder / "node_modules").is_dir():
        return {}
    pinned: dict[str, str] = json.loads((folder / "package.json").read_text())["dependencies"]
    return pinned


def version_of(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = info.read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def file_system(path: Path) -> str:
    """Its type, as the kernel names it, for the directory that the data goes to."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    where = path.resolve()
    types = {Path(point): kind for _, point, kind, *_ in map(str.split, mounts.read_text().splitlines())}
    return next(types[each] for each in (where, *where.parents) if each in types)


def revision() -> str:
    """The commit that was measured, as far as it is known."""
    return said_by("git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=10")


def said_by(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
