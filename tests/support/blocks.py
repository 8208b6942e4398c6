"""Runs the blocks of a Markdown file in order, as one program, and tells what each printed and what it was to print.

Blocks are told apart by their info string:

* `python` is run. What it prints is said by a `text` block that follows; without one, by a comment behind each `print`.
* `python title="bank.py"` is written to that file.
* `console` holds commands after `$ `, each followed by what it prints.

In what was to be printed, `...` stands for anything. All other blocks are left alone.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Block", "assert_as_promised", "blocks_in", "broken_links", "python_in", "run_blocks"]

_FENCED: Final = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE: Final = re.compile(r'title="([^"]+)"')
_PRINT_WITH_ANSWER: Final = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
_COMMAND: Final = re.compile(r"^\$ (.*)$", re.MULTILINE)
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#]+)")
_END_OF_BLOCK: Final = "--- end of block ---"
_ENVIRONMENT: Final = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # a pytest in a block is as plain as its reader's
}


@dataclass(frozen=True)
class Block:
    """A block that runs, the line of its first line of text, and what it is to print."""

    info: str
    line: int
    text: str
    promised: str

    @property
    def title(self) -> str | None:
        """The file that the block is to be written to."""
        found = _TITLE.search(self.info)
        return found[1] if found else None

    @property
    def runs(self) -> str:
        """What stands for the block in the program, in no more lines than the block has, fences included."""
        end = f"print({_END_OF_BLOCK!r}, flush=True)"
        if self.title:
            return f"__import__('pathlib').Path({self.title!r}).write_text({self.text!r}); {end}"
        if self.info == "console":
            commands = "; ".join(
                f"__import__('subprocess').run({command!r}, shell=True)" for command in _COMMAND.findall(self.text)
            )
            return f"print(end='', flush=True); {commands}; {end}"
        return f"{self.text}{end}"


def blocks_in(markdown: str) -> list[Block]:
    """The blocks that run, in order."""
    fenced = list(_FENCED.finditer(markdown))
    following = [*fenced[1:], None]
    return [
        Block(
            each["info"],
            markdown.count("\n", 0, each.start("text")) + 1,
            each["text"],
            _promised(each["info"], each["text"], after["text"] if after and after["info"] == "text" else None),
        )
        for each, after in zip(fenced, following, strict=False)
        if each["info"].split(" ")[0] in ("python", "console")
    ]


def python_in(markdown: str) -> list[str]:
    """The text of each Python block that is no file."""
    return [each.text for each in blocks_in(markdown) if each.info == "python"]


def run_blocks(markdown: str, directory: Path, environment: Mapping[str, str] | None = None) -> list[tuple[Block, str]]:
    """Run a file's blocks in `directory`; what each printed. A block that raises, or warns, fails the assertion.

    The lines of the program are those of the Markdown file, so tracebacks lead to the right place.
    """
    blocks = blocks_in(markdown)
    program = directory / "the_program.py"
    program.write_text(_at_their_lines(blocks))
    ran = subprocess.run(
        [sys.executable, "-W", "error", program.name],
        cwd=directory,
        env={**os.environ, **_ENVIRONMENT, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), f"exit code {ran.returncode}\n{ran.stderr}"
    printed = ran.stdout.split(f"{_END_OF_BLOCK}\n")
    return list(zip(blocks, printed[:-1], strict=True))


def assert_as_promised(block: Block, printed: str) -> None:
    """Assert that a block printed what the file says."""
    promised, found = _lines(block.promised), _lines(printed)
    pattern = ".*".join(map(re.escape, promised.split("...")))
    assert found == promised or re.fullmatch(pattern, found, re.DOTALL), f"line {block.line}: it printed\n{printed}"


def broken_links(path: Path) -> list[str]:
    """The links of a Markdown file to files that are not there."""
    return [link for link in _LINK.findall(path.read_text()) if not (path.parent / link).exists()]


def _promised(info: str, text: str, following: str | None) -> str:
    if "title=" in info:
        return ""
    if info == "console":
        return _COMMAND.sub("", text)
    return "\n".join(_PRINT_WITH_ANSWER.findall(text)) if following is None else following


def _at_their_lines(blocks: Sequence[Block]) -> str:
    program = ""
    for block in blocks:
        program += "\n" * (block.line - 1 - program.count("\n")) + block.runs + "\n"
    return program


def _lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())
