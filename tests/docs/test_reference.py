"""The reference in docs/reference is what the docstrings say today, and its links lead somewhere."""

import runpy
from pathlib import Path

import pytest

from act_fast import Act, AsyncAct, LogStore, Slice
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


@pytest.mark.parametrize("owner", [Act, AsyncAct, LogStore, Slice], ids=lambda each: each.__name__)
def test_every_method_is_described_also_those_that_are_inherited(owner: type) -> None:
    text = "\n".join(page.read_text() for page in REFERENCE.glob("*.md"))
    public = [name for name in dir(owner) if not name.startswith("_") and name not in dir(object)]
    missing = [name for name in public if f"### {owner.__name__}.{name}\n" not in text]
    assert missing == []
