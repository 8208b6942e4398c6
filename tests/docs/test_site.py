"""The site has every page, builds without a warning, and asks nothing of another server."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from act_fast import errors

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
CONFIG = ROOT / "mkdocs.yml"
TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text()


def in_navigation() -> list[str]:
    nav = CONFIG.read_text().partition("\nnav:\n")[2]
    return re.findall(r"([\w/-]+\.md)$", nav, re.MULTILINE)


def build(config: Path, site: Path, *, docs: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Build the site from a configuration; from other pages than the repository's, if told so."""
    text = (
        config.read_text()
        .replace("hooks: [docs/", f"hooks: [{DOCS}/")
        .replace("docs_dir: docs", f"docs_dir: {docs or DOCS}")
    )
    used = site.parent / "mkdocs.yml"
    used.write_text(text)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(used), "-d", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


class Assets(HTMLParser):
    """What a browser loads for a page: scripts, styles, pictures, frames."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.found.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev", "alternate"):
            self.found.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site") / "built"
    ran = build(CONFIG, built)
    assert ran.returncode == 0, ran.stderr
    return built


def test_the_navigation_has_every_page_once() -> None:
    virtual = {"benchmarks.md", "changelog.md", "code-of-conduct.md", "contributing.md", "security.md", "stability.md"}
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(in_navigation()) == sorted(pages | virtual)


def test_every_page_is_built(site: Path) -> None:
    for page in in_navigation():
        built = re.sub(r"(README|index)$", "", page.removesuffix(".md")).strip("/")
        assert (site / built / "index.html").exists(), page


def test_nothing_is_loaded_from_another_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        assets = Assets()
        assets.feed(page.read_text())
        assert len(assets.found) > 2
        assert [each for each in assets.found if urlsplit(each).netloc] == [], page


def test_no_markdown_is_left_over(site: Path) -> None:
    """A list comes after a blank line, and four spaces before what is inside its items: other browsers ask for less."""
    left_over = re.compile(r"^\s*(\*|-|\d+\.) |^\||```|\*\*|\]\([^)]*\)", re.MULTILINE)
    for page in site.rglob("*.html"):
        text = re.sub(r"<(pre|code).*?</\1>", "", page.read_text(), flags=re.DOTALL)
        paragraphs = re.findall(r"<p>(.*?)</p>", text, re.DOTALL)
        assert [each for each in paragraphs if left_over.search(each)] == [], page


def test_links_out_of_docs_lead_to_the_page_that_the_site_has_or_to_the_repository(site: Path) -> None:
    deployment = (site / "guide" / "deployment" / "index.html").read_text()
    assert 'href="../../changelog/"' in deployment
    fastapi = (site / "guide" / "fastapi" / "index.html").read_text()
    assert 'href="https://github.com/act-fast/act-fast/tree/main/examples/fastapi_app"' in fastapi
    assert (site / "plots" / "do.svg").exists()
    assert "# act-fast" in (site / "llms.txt").read_text()


def test_links_that_lead_nowhere_fail_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    links = "[a page](missing.md) [a heading](glossary.md#no-such-heading) [a file](../examples/none.py)"
    (docs / "index.md").write_text(f"# One\n\n{links}\n")
    (docs / "glossary.md").write_text((DOCS / "glossary.md").read_text())
    config = tmp_path / "config.yml"
    config.write_text(CONFIG.read_text().partition("\nnav:\n")[0] + "\nnav: [index.md, glossary.md]\n")
    ran = build(config, tmp_path / "built", docs=docs)
    assert ran.returncode != 0
    for problem in ("missing.md", "no-such-heading", "examples/none.py"):
        assert problem in ran.stderr


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_a_section_that_says_what_to_do(name: str) -> None:
    found = re.search(rf"^## {name}\n\n(.*?)(?=^## |\Z)", TROUBLESHOOTING, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert len(found[1].split()) >= 15


def test_the_troubleshooting_page_names_no_error_that_is_gone() -> None:
    assert set(re.findall(r"^## (\w+Error)$", TROUBLESHOOTING, re.MULTILINE)) == set(errors.__all__)
