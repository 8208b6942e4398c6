"""The reference in docs/reference is what the docstrings say today, and its links lead somewhere."""

import runpy
from pathlib import Path

from tests.support.blocks import broken_links

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"


def test_the_reference_is_up_to_date() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_reference.py"))
    committed = {path.name: path.read_text() for path in REFERENCE.glob("*.md")}
    assert committed == generator["pages"](), "run: python docs/generate_reference.py"


def test_every_link_in_the_reference_leads_somewhere() -> None:
    assert {path.name: broken_links(path) for path in REFERENCE.glob("*.md")} == {
        path.name: [] for path in REFERENCE.glob("*.md")
    }
