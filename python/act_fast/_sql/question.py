"""One question: what may be asked, which relations it may mean, and what is said when it cannot be answered."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import duckdb

from act_fast._checks import arguments
from act_fast.errors import ValidationError

__all__ = ["ask", "check_question", "words_of"]

_ASKS: Final = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})
_PIVOTS: Final = re.compile(r"\bpivot(_wider)?\b", re.IGNORECASE)
_CATALOG: Final = frozenset(
    {"show", "information_schema", "duckdb_views", "duckdb_tables", "duckdb_columns", "pg_catalog"}
)
_WORD: Final = re.compile(r"\w+")


def check_question(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Make sure that a query is one question, and changes nothing.

    Raises:
        ValidationError: it is none, or more than one, or DuckDB cannot read it.
    """
    query = arguments.text("the query", query)
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise ValidationError(f"the query cannot be read: {_said(error)}") from None
    if len(statements) != 1:
        found = f"{len(statements)} statements" if statements else "no statement"
        raise ValidationError(f"a query is one question, but this text holds {found}; ask them one by one")
    [statement] = statements
    # PIVOT without its columns named is several statements in disguise: what the columns are has to be found first.
    pivots = statement.type == duckdb.StatementType.MULTI and _PIVOTS.search(query)
    if statement.type not in _ASKS and not pivots:
        raise ValidationError(
            f"{statement.type.name} is no question: SQL only reads the log here (select, from, with, describe,"
            " summarize, show, explain, pivot); to change something use the app's actions, to write a file app.export"
        )


def words_of(query: str) -> frozenset[str] | None:
    """All words of a query in small letters, among them the relations it names; None when it may mean any of them."""
    words = frozenset(_WORD.findall(query.casefold()))
    return None if words & _CATALOG else words


def ask(
    connection: duckdb.DuckDBPyConnection, query: str, params: Mapping[str, Any], known: Iterable[str]
) -> duckdb.DuckDBPyRelation:
    """Ask a question that was checked.

    Args:
        connection: has what the question names.
        query: the question.
        params: what its `$name`s stand for.
        known: the relations that there are, for who has named another.

    Raises:
        ValidationError: DuckDB cannot understand it.
    """
    try:
        return connection.sql(query, params=dict(params)) if params else connection.sql(query)
    except duckdb.CatalogException as error:
        raise ValidationError(f"{_said(error)}; there is {', '.join(known)}") from None
    except (duckdb.ProgrammingError, duckdb.NotSupportedError, duckdb.DataError) as error:
        raise ValidationError(f"the query cannot be answered: {_said(error)}") from None


def _said(error: duckdb.Error) -> str:
    """What DuckDB says, without its guesses among tables of its own."""
    return str(error).partition("\nDid you mean")[0].strip().rstrip("!")
