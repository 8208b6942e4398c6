"""What the deployment page gives to copy is right: its commands with their options, and settings that go together."""

import re
import shlex
from pathlib import Path

import pytest

from act_fast.cli.main import _parser

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "deployment.md").read_text()
BLOCKS = {
    title: text for title, text in re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
}


def commands() -> list[list[str]]:
    """The arguments of `act-fast` wherever a block that is no Python calls it, as the system would hand them over."""
    found = []
    for title, text in BLOCKS.items():
        for line in text.splitlines():
            if title == "Dockerfile" and line.startswith("CMD ["):
                words = re.findall(r'"([^"]+)"', line)
            elif title.endswith(".py") or not re.search(r"(^|[/ ])act-fast ", line) or "pip install" in line:
                continue
            else:
                words = shlex.split(line[re.search(r"act-fast ", line).start() :])  # type: ignore[union-attr]
            found.append(words[1:])
    return found


@pytest.mark.parametrize("arguments", commands(), ids=lambda each: each[0])
def test_every_command_is_one_that_there_is(arguments: list[str]) -> None:
    assert callable(_parser().parse_args(arguments).run)


def test_the_commands_of_every_block_are_seen() -> None:
    assert sorted(each[0] for each in commands()) == ["backup", "health", "health", "run", "run", "verify"]


def test_the_system_waits_for_longer_than_the_handlers_get() -> None:
    unit = BLOCKS["/etc/systemd/system/bank-workers.service"]
    grace, patience = re.search(r"--grace (\d+)", unit), re.search(r"TimeoutStopSec=(\d+)", unit)
    assert grace is not None
    assert patience is not None
    assert int(patience[1]) > int(grace[1])


def test_the_store_is_where_the_units_may_write() -> None:
    unit, image = BLOCKS["/etc/systemd/system/bank-workers.service"], BLOCKS["Dockerfile"]
    assert "BANK_STORE=/var/lib/bank/" in unit
    assert "StateDirectory=bank" in unit
    assert re.search(r"BANK_STORE=(/data)/", image)
    assert "VOLUME /data" in image
