"""An extension for notebooks, `%load_ext act_fast.jupyter`: `%%act` asks in SQL, and relations show as tables."""

import re
from typing import Any, Final

from act_fast._app.act import Act
from act_fast._app.async_act import AsyncAct
from act_fast._checks.extras import need
from act_fast._checks.html_table import html_rows
from act_fast._sql.connection import Connection
from act_fast.errors import ValidationError

__all__ = ["load_ipython_extension", "unload_ipython_extension"]

_ROWS_MAX: Final = 50
_PARAMETER: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def load_ipython_extension(shell: Any) -> None:
    """Add `%act` and `%%act`, and let relations of DuckDB show as HTML. IPython calls it.

    Raises:
        MissingExtraError: DuckDB is not installed.
    """
    need("act_fast.jupyter", "duckdb", "fsspec")
    from duckdb import DuckDBPyRelation

    def act(line: str, cell: str | None = None) -> Any:
        """Ask an app or a connection in SQL: `%%act app`, and the question below; or `%act app select …`.

        A `$name` in the question stands for the variable of that name.
        """
        name, _, rest = line.strip().partition(" ")
        question = rest if cell is None else cell
        if not name or not question.strip():
            raise ValidationError("write %%act app, where app is an Act or a connection, and a question below it")
        known = shell.user_ns
        asked = known.get(name)
        if isinstance(asked, AsyncAct):
            asked = asked.sync
        if not isinstance(asked, Act | Connection):
            raise ValidationError(f"{name} is {type(asked).__name__}; %%act asks an Act, an AsyncAct or a connection")
        parameters = {each: known[each] for each in _PARAMETER.findall(question) if each in known}
        return asked.sql(question, **parameters)

    shell.register_magic_function(act, "line_cell", "act")
    _html(shell).for_type(DuckDBPyRelation, relation_html)


def unload_ipython_extension(shell: Any) -> None:
    """Let relations show as text again. IPython calls it."""
    from duckdb import DuckDBPyRelation

    _html(shell).pop(DuckDBPyRelation, None)


def relation_html(relation: Any) -> str:
    """The first rows of a relation, as HTML."""
    rows = relation.limit(_ROWS_MAX + 1).fetchall()
    note = f"the first {_ROWS_MAX} rows" if len(rows) > _ROWS_MAX else ""
    return html_rows(relation.columns, rows[:_ROWS_MAX], note)


def _html(shell: Any) -> Any:
    return shell.display_formatter.formatters["text/html"]
