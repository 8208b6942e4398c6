"""The machinery that runs the blocks of README and the guide can fail: what it promises to notice, it notices."""

from pathlib import Path

import pytest

from tests.support.blocks import assert_as_promised, run_blocks


def run_all(markdown: str, directory: Path) -> None:
    for block, printed in run_blocks(markdown, directory):
        assert_as_promised(block, printed)


def test_blocks_share_a_namespace_and_prose_between_them_is_not_run(tmp_path: Path) -> None:
    run_all("# One\n```python\na = 1\n```\nraise\n```python\nprint(a + 1)  # 2\n```\n", tmp_path)


@pytest.mark.parametrize(
    "block",
    [
        "```python\nprint(1)  # 2\n```\n",
        "```python\nprint(1)\n```\n",
        "```python\nprint(1)\n```\n```text\n2\n```\n",
        "```python\nprint(1)\n```\n```text\n1\n2\n```\n",
        "```console\n$ echo one\ntwo\n```\n",
    ],
)
def test_another_answer_than_the_one_promised_is_noticed(tmp_path: Path, block: str) -> None:
    with pytest.raises(AssertionError, match="line 2: it printed"):
        run_all(block, tmp_path)


def test_a_block_that_raises_is_noticed_at_the_line_of_the_markdown(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="line 6, in <module>"):
        run_all("# One\n\n```python\na = 1\n\na.nonsense\n```\n", tmp_path)


def test_a_warning_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="UserWarning"):
        run_all('```python\nimport warnings\n\nwarnings.warn("careful")\n```\n', tmp_path)


def test_files_are_written_and_commands_run_in_order(tmp_path: Path) -> None:
    run_all(
        '```python title="one.py"\nprint("o" + "ne")\n```\n'
        "```console\n$ python one.py\none\n$ echo two\n...\n```\n"
        "```python\nimport one\n```\n```text\none\n```\n",
        tmp_path,
    )
