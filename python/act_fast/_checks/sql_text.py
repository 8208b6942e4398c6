"""Names and texts as SQL takes them, whatever is in them."""

__all__ = ["quoted_name", "quoted_text"]


def quoted_name(name: str) -> str:
    """The name of a table, a column or a relation."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as a literal."""
    return "'" + text.replace("'", "''") + "'"
