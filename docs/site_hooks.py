"""What the site needs beyond the Markdown in docs/: pages from elsewhere in the repository, and links to its files.

Pages also work in a plain repository browser: their links are relative to where they are. Here, a link that leads out
of docs/ becomes one to the page that the site has of that file or, if it has none, to the file on the web.
"""

import posixpath
import re
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

__all__ = ["OUTSIDE", "on_files", "on_page_markdown", "on_post_build"]

ROOT: Final = Path(__file__).parent.parent
REPOSITORY: Final = "https://github.com/act-fast/act-fast"

OUTSIDE: Final = {
    "benchmarks.md": "bench/RESULTS.md",
    "changelog.md": "CHANGELOG.md",
    "code-of-conduct.md": "CODE_OF_CONDUCT.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "stability.md": "STABILITY.md",
}
"""Pages of the site, by the file of the repository that each is made from."""

_PLOTS: Final = ROOT / "bench" / "plots"
_LINK: Final = re.compile(r"(?P<start>!?\[[^\]]*\]\()(?P<target>[^)\s]+)(?P<end>\))")
_CODE: Final = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)

_log = get_plugin_logger("act-fast")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures from outside docs/."""
    for uri, path in OUTSIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    for path in sorted(_PLOTS.glob("*.svg")):
        files.append(File.generated(config, f"plots/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead each link that leaves docs/ to where a reader of the site finds its target."""
    uri = page.file.src_uri
    source = OUTSIDE.get(uri, f"docs/{uri}")
    pieces = _CODE.split(markdown)
    # Every other piece is code, whose brackets are no links; but the text of a link may contain code.
    whole = "".join(piece if index % 2 == 0 else piece.replace("](", "]\0(") for index, piece in enumerate(pieces))
    return _LINK.sub(lambda found: _link(found, uri, source), whole).replace("]\0(", "](")


def on_post_build(config: MkDocsConfig) -> None:
    """Offer the summary for language models where such programs look for it."""
    shutil.copy(ROOT / "llms.txt", Path(config.site_dir) / "llms.txt")


def _link(found: re.Match[str], uri: str, source: str) -> str:
    parts = urlsplit(found["target"])
    if parts.scheme or not parts.path:
        return found[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), parts.path))
    # The second heading of one name is `name-1` in a repository browser, and `name_1` here.
    fragment = re.sub(r"-(\d)$", r"_\1", parts.fragment) if path.startswith("docs/reference/") else parts.fragment
    return found["start"] + _target(path, uri, source) + (f"#{fragment}" if fragment else "") + found["end"]


def _target(path: str, uri: str, source: str) -> str:
    """Where a file of the repository is found by a reader of the page."""
    pages = {outside: page for page, outside in OUTSIDE.items()}
    file = ROOT / path
    if not file.exists():
        _log.warning("%s: a link leads to %s, which does not exist", source, path)
    if path in pages:
        inside = pages[path]
    elif file.parent == _PLOTS:
        inside = f"plots/{file.name}"
    elif file.is_relative_to(ROOT / "docs") and not file.name.endswith(".py"):
        inside = (file / "README.md" if file.is_dir() else file).relative_to(ROOT / "docs").as_posix()
    else:
        return f"{REPOSITORY}/{'tree' if file.is_dir() else 'blob'}/main/{path}"
    return posixpath.relpath(inside, posixpath.dirname(uri) or ".")
