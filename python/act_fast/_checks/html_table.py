"""What a notebook shows of a value: a small table, in which nothing is taken for markup."""

from collections.abc import Iterable

__all__ = ["html_rows", "html_table"]

_TEXT_MAX = 300


def html_table(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """A table of names and values."""
    body = "".join(f"<tr><th>{_shown(name)}</th><td>{_shown(value)}</td></tr>" for name, value in rows)
    return f"<table><caption>{_shown(title)}</caption><tbody>{body}</tbody></table>"


def html_rows(columns: Iterable[str], rows: Iterable[Iterable[object]], note: str = "") -> str:
    """A table of rows, each with a value for each column."""
    head = "".join(f"<th>{_shown(each)}</th>" for each in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_shown(value)}</td>' for value in row)}</tr>" for row in rows)
    caption = f"<caption>{_shown(note)}</caption>" if note else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(value: object) -> str:
    from html import escape  # which only notebooks need

    text = value if isinstance(value, str) else repr(value)
    return escape(text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}…")
