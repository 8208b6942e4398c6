"""Java programs for tests: their jars, brought once by Maven and kept."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.servers import Unavailable

_BRING_SECONDS = 600.0


def kept() -> Path:
    """The folder for what is brought: ACT_FAST_ENGINES, else in the virtual environment."""
    folder = Path(os.environ.get("ACT_FAST_ENGINES") or Path(sys.prefix) / "engines")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def jars(name: str, dependencies: Sequence[str]) -> Path:
    """The folder with the jars of these dependencies (`group:artifact:version`), and of theirs.

    Raises:
        Unavailable: they cannot be brought, and why.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise Unavailable(f"there is no {name}: it needs {program}")
    folder = kept() / name
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = folder / "dependencies"
        if not said.exists() or said.read_text().split() != list(dependencies):
            _bring(name, folder, dependencies)
            said.write_text("\n".join(dependencies))
    return folder


def _bring(name: str, folder: Path, dependencies: Sequence[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    project = folder / "pom.xml"
    needed = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
            *map(escape, each.split(":"))
        )
        for each in dependencies
    )
    project.write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>tests</groupId><artifactId>engine</artifactId>"
        f"<version>1</version><dependencies>{needed}</dependencies></project>"
    )
    command = ["mvn", "--quiet", "--batch-mode", "-f", str(project), "dependency:copy-dependencies"]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={folder}", f"-Dmaven.repo.local={kept() / 'maven'}"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=_BRING_SECONDS)
    if ended.returncode:
        raise Unavailable(f"{name} cannot be brought: Maven says {ended.stdout.strip()[-500:]}")
