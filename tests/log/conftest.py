"""A disk of any size, where the tests may make one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        mounting = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True)
        if mounting.returncode:
            pytest.skip("needs the right to mount a tmpfs")

    def be(self, option: str) -> None:
        """Change it while it is in use: `size=2m`, `ro`."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.place], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", self.place], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 16 MiB, which may be made smaller, larger or read-only."""
    made = Disk(tmp_path / "disk")
    yield made
    made.unmount()
