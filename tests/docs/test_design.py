"""The pages about the design name the files that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
ENGINE = ROOT / "rust" / "core" / "src"
FOLDERS = re.findall(r"^\| `(\w+)/` \| .*? \| (.*?) \|$", (DOCS / "design.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("folder", "named"), FOLDERS, ids=lambda each: each.split(",")[0].strip("`"))
def test_the_map_of_the_engine_names_each_file_of_a_folder(folder: str, named: str) -> None:
    files = {path.stem for path in (ENGINE / folder).iterdir()} - {"mod", "tests"}
    assert {each.strip("`/") for each in re.findall(r"`([\w/]+)`", named)} == files


def test_the_map_of_the_engine_has_every_folder() -> None:
    assert {folder for folder, _ in FOLDERS} == {path.name for path in ENGINE.iterdir() if path.is_dir()}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = set(
        re.findall(r"`((?:rust|python|tests|bench|examples|stores|_\w+)/[\w/]+(?:\.\w+)?)/?`", page.read_text())
    )
    roots = (ROOT, ROOT / "python" / "act_fast")
    missing = [
        each for each in named if not any((root / name).exists() for root in roots for name in (each, f"{each}.py"))
    ]
    assert missing == []
