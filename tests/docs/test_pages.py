"""The pages at the top of the repository lead where they say, and the package names them."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.blocks import broken_links

ROOT = Path(__file__).parent.parent.parent
PAGES = ["CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "STABILITY.md", "llms.txt"]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    assert [link for link in broken_links(ROOT / page) if not link.startswith("https:")] == []


def test_the_guide_for_models_names_every_chapter_that_a_program_needs() -> None:
    listed = set(re.findall(r"docs/guide/([\w-]+)\.md", (ROOT / "llms.txt").read_text()))
    assert {"first-state", "reactions", "projections", "sql", "testing", "production"} <= listed


def test_the_urls_of_the_package_name_pages_that_are_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    inside = [url.partition("/blob/main/")[2] for url in project["urls"].values()]
    assert [path for path in inside if path and not (ROOT / path).exists()] == []
    assert len(project["dependencies"]) == 1


def test_the_extra_named_all_has_every_other_one() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = re.fullmatch(r"act-fast\[(.*)\]", extras["all"][0])
    assert named is not None
    assert sorted(named[1].split(",")) == sorted(extras.keys() - {"all"})


def test_prose_wraps_at_a_hundred_columns() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md"]
    long = [
        f"{page.relative_to(ROOT)}: {line}"
        for page in pages
        if page.parent.name != "reference"
        for line in re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE).splitlines()
        if len(line) > 100 and not line.startswith(("|", "#", "!", "    ")) and " " in line.strip()[:100].lstrip("* -")
    ]
    assert long == []
