"""The guide and the recipes are run: each page's blocks in order, in an empty directory, print what the page says."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.blocks import assert_as_promised, blocks_in, broken_links, run_blocks
from tests.support.mariadb import MariaDbServer
from tests.support.nats import NatsServers
from tests.support.servers import PostgresServer

DOCS = Path(__file__).parent.parent.parent / "docs"
GUIDE = DOCS / "guide"
CHAPTERS = sorted(path for path in GUIDE.glob("*.md") if path.name != "README.md")
RECIPES = sorted(path for path in (DOCS / "recipes").glob("*.md") if path.name != "README.md")
PAGES = [*CHAPTERS, *RECIPES, *(DOCS / name for name in ("index.md", "quick-start.md", "troubleshooting.md"))]


def named(page: Path) -> str:
    return f"{page.parent.name}/{page.stem}" if page.parent.name == "recipes" else page.stem


@pytest.mark.parametrize("chapter", PAGES, ids=named)
def test_a_chapters_blocks_print_what_it_says(chapter: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    environment = {}
    if chapter.stem == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        environment["DATABASE_URL"] = server.url(server.new_database())
    if chapter.stem == "mysql":
        maria: MariaDbServer = request.getfixturevalue("mariadb")
        environment["DATABASE_URL"] = maria.url(maria.new_database())
    if chapter.stem == "replication":
        cluster: NatsServers = request.getfixturevalue("nats_cluster")
        environment["CLUSTER_URL"] = cluster.url("guide")
    for block, printed in run_blocks(chapter.read_text(), tmp_path, environment):
        assert_as_promised(block, printed)


@pytest.mark.parametrize("chapter", PAGES, ids=named)
def test_a_chapter_has_something_to_run_and_to_compare(chapter: Path) -> None:
    blocks = blocks_in(chapter.read_text())
    assert any(block.promised for block in blocks)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: str(path.relative_to(DOCS)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_the_contents_list_every_chapter_and_each_leads_to_the_next() -> None:
    listed = re.findall(r"^\d+\. \[.*?\]\((.*?)\)", (GUIDE / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == [chapter.name for chapter in CHAPTERS]
    for chapter, following in pairwise(listed):
        assert f"]({following})" in (GUIDE / chapter).read_text().splitlines()[-1]


def test_the_recipes_are_all_listed_and_each_tells_its_limits() -> None:
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "recipes" / "README.md").read_text())
    assert sorted(listed) == [recipe.name for recipe in RECIPES]
    assert [each.name for each in RECIPES if "**Limits.**" not in each.read_text()] == ["sql.md"]


def test_the_database_that_the_guide_offers_is_the_examples() -> None:
    offered = (GUIDE.parent.parent / "examples" / "fastapi_app" / "compose.yaml").read_text()
    shown = re.search(r'```yaml title="compose.yaml"\n(.*?)```', (GUIDE / "postgres.md").read_text(), re.DOTALL)
    assert shown is not None
    assert offered.endswith(shown[1])
