"""Names, texts and paths as SQL takes them, whatever is in them."""

from pathlib import Path

__all__ = ["quoted_files", "quoted_name", "quoted_text"]


def quoted_name(name: str) -> str:
    """The name of a table, a column or a relation."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted_files(paths: list[Path]) -> str:
    """A list of files for a function that would take their names for patterns."""
    return f"[{', '.join(quoted_text(_literally(str(path))) for path in paths)}]"


def _literally(path: str) -> str:
    """The pattern that matches a path and nothing else."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in path)
