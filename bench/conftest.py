"""What every benchmark is given: the sizes, a directory on a real disk that is removed afterwards, and the duel."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.harness.duel import Duel
from bench.harness.sizes import Sizes, sizes_from_environment


@pytest.fixture(scope="session")
def sizes() -> Sizes:
    return sizes_from_environment()


@pytest.fixture(scope="session")
def directory(sizes: Sizes) -> Iterator[Path]:
    sizes.directory.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="run-", dir=sizes.directory))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def shelf(directory: Path) -> Iterator[Path]:
    """A directory for data that several rounds and benchmarks of a module read."""
    path = Path(tempfile.mkdtemp(prefix="shelf-", dir=directory))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def duel(benchmark: BenchmarkFixture, directory: Path, sizes: Sizes) -> Duel:
    return Duel(benchmark, directory, sizes.rounds)
