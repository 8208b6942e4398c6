"""One question: what may be asked, which relations it may mean, and what is said when it cannot be answered."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

import duckdb
import msgspec

from act_fast._checks import arguments
from act_fast._runtime.interruptible import interruptible
from act_fast.errors import ValidationError
from act_fast.stores.archive_away import archive_away

__all__ = ["ask", "check_question", "is_catalog", "known_of", "nodes_in", "words_of"]

T = TypeVar("T")

_PIVOTS: Final = re.compile(r"\bpivot(_wider)?\b", re.IGNORECASE)
_CATALOG: Final = frozenset(
    {"show", "information_schema", "duckdb_views", "duckdb_tables", "duckdb_columns", "pg_catalog"}
)
_OF_CLASSES: Final = (
    "; those of classes are there when you name an app, not a path, and the app is made of these states and views"
)
_WITHOUT_CLASSES: Final = frozenset({"events", "streams", "targets", "skipped"})
_WORD: Final = re.compile(r"\w+")
_CHANGES: Final = frozenset({"insert", "update", "delete", "copy"})
"""What may stand inside of a question, in the place of a common table expression."""
_TABLES: Final = frozenset(
    {"generate_series", "glob", "json_each", "json_tree", "range", "repeat", "sniff_csv", "summary", "unnest"}
)
_TABLES_BEGIN: Final = ("duckdb_", "parquet_", "read_")
"""The functions that a question which may reach files may read from: those that only read, and show what they do."""

_KNOWN_MAX: Final = 256
_KNOWN_CHARACTERS_MAX: Final = 10_000

_sound: Final[dict[str, duckdb.Statement]] = {}
"""Questions that were found to be sound, as DuckDB parsed them, which takes it longer than to plan many of them."""


def check_question(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    *,
    files: bool = False,
    known: Collection[str] = (),
    relations: Collection[str] = (),
) -> None:
    """Make sure that a query is one question, and changes nothing.

    Where the connection is locked this is for the sake of a good answer: DuckDB refuses by itself what would reach a
    file. Where it may reach files, this is what keeps it from writing.

    Args:
        connection: what it will be asked on.
        query: the question.
        files: whether the connection may reach files.
        known: what may be called as a table besides DuckDB's own functions, in small letters.
        relations: the relations that there are, for who has named one that is a word of SQL.

    Raises:
        ValidationError: it is none, or more than one, or DuckDB cannot read it.
    """
    query = arguments.text("the query", query)
    if query in _sound and not files:
        return
    statement, kind = _statement(connection, query, relations)
    asked, explains = query, kind == "EXPLAIN"
    if explains:
        asked = _explained(connection, query)
        _, kind = _statement(connection, asked, relations)
    if kind == "MULTI" and not files and _pivots(connection, asked):
        return
    if kind != "SELECT":
        raise _no_question(kind)
    if files or not _CHANGES.isdisjoint(_WORD.findall(asked.casefold())):
        _check_within(connection, asked, known if files else None)
    if not files and not explains:
        known_of(_sound, query, lambda: statement)


def known_of(known: dict[str, T], query: str, find: Callable[[], T]) -> T:
    """What was found of a question before."""
    try:
        return known[query]
    except KeyError:
        found = find()
    if len(known) >= _KNOWN_MAX:
        known.clear()
    if len(query) <= _KNOWN_CHARACTERS_MAX:
        known[query] = found
    return found


def _statement(
    connection: duckdb.DuckDBPyConnection, query: str, relations: Collection[str]
) -> tuple[duckdb.Statement, str]:
    """The only statement of a text, and of what kind it is."""
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise ValidationError(
            f"the query cannot be read: {_said(error)}{_quoting(connection, query, relations)}"
        ) from None
    if len(statements) != 1:
        found = f"{len(statements)} statements" if statements else "no statement"
        raise ValidationError(f"a query is one question, but this text holds {found}; ask them one by one")
    try:
        return statements[0], statements[0].type.name
    except ValueError:  # DuckDB's engine has kinds that its Python side has no name for
        return statements[0], query.split(maxsplit=1)[0].upper()


def _quoting(connection: duckdb.DuckDBPyConnection, query: str, relations: Collection[str]) -> str:
    """How to name a relation that a query names, where its name is a word of SQL, such as Order."""
    words = frozenset(_WORD.findall(query.casefold()))
    meant = [each for each in relations if each.casefold() in words]
    if not meant:
        return ""
    asked = "select keyword_name from duckdb_keywords() where keyword_category = 'reserved'"
    reserved = {word for (word,) in connection.execute(asked).fetchall()}
    found = next((each for each in meant if each.casefold() in reserved), None)
    return "" if found is None else f'; where you mean the relation {found}, put it in double quotes: "{found}"'


def _explained(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """What an EXPLAIN explains, and runs if it analyses: all behind the word, its `analyze` and its options."""
    tokens = [(at, query[at:end].rstrip()) for at, end in _spans(query)]
    words = [text.casefold() for _, text in tokens]
    behind = 2 if words[1:2] == ["analyze"] else 1
    if words[behind : behind + 1] == ["("] and ")" in words:
        # Options, unless what is explained is itself in parentheses.
        after = words.index(")") + 1
        if after < len(words) and words[after] != ";" and not _readable(connection, query[tokens[behind][0] :]):
            behind = after
    return query[tokens[behind][0] :] if behind < len(tokens) else ""


def _spans(query: str) -> Iterator[tuple[int, int]]:
    """Where each token begins, and where the one behind it does; comments are none. Offsets are in characters."""
    encoded = query.encode()
    found = [(len(encoded[:at].decode()), kind) for at, kind in duckdb.tokenize(query)]
    ends = [at for at, _ in found[1:]] + [len(query)]
    for (at, kind), end in zip(found, ends, strict=True):
        if kind != duckdb.token_type.comment:
            yield at, end


def _readable(connection: duckdb.DuckDBPyConnection, text: str) -> bool:
    try:
        return len(connection.extract_statements(text)) > 0
    except duckdb.Error:
        return False


def _pivots(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Whether this is a PIVOT without its columns named: what they are has to be found first, by other statements.

    It is a question if it can stand where a table can; what would write its answer down cannot.
    """
    return bool(_PIVOTS.search(query)) and _readable(connection, f"from (\n{query.rstrip().rstrip(';')}\n)")


def _check_within(connection: duckdb.DuckDBPyConnection, query: str, known: Collection[str] | None) -> None:
    """Make sure that no part of a question changes anything, as DuckDB itself takes it apart.

    Where files can be reached, functions that rows are read from must be known to only read: `known` are some of them.
    """
    [(text,)] = connection.execute("select json_serialize_sql($query::varchar)", {"query": query}).fetchall()
    for node in nodes_in(msgspec.json.decode(text)):
        kind = node.get("type")
        if node.get("error") is True:
            raise ValidationError(f"the query cannot be read: {node.get('error_message')}")
        if isinstance(kind, str) and kind.endswith("_QUERY_NODE"):
            raise _no_question(kind.removesuffix("_QUERY_NODE"))
        if kind == "TABLE_FUNCTION" and known is not None:
            name = str(node["function"].get("function_name")).casefold()
            if name not in _TABLES and name not in known and not name.startswith(_TABLES_BEGIN):
                raise ValidationError(
                    f"{name}(...) is not available with files=True, which only allows functions that read;"
                    " connect without files=True to use it"
                )


def nodes_in(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects in a statement as DuckDB parsed it, in no particular order."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _no_question(what: str) -> ValidationError:
    return ValidationError(
        f"{what} is not a question: SQL only reads the log here (select, from, with, describe, summarize, show,"
        " explain, pivot); to change something use the app's actions, to write a file app.export"
    )


def words_of(query: str) -> frozenset[str] | None:
    """All words of a query in small letters, among them the relations it names; None when it may mean any of them."""
    words = frozenset(_WORD.findall(query.casefold()))
    return None if words & _CATALOG else words


def is_catalog(name: str) -> bool:
    """Whether a name in small letters is of what DuckDB tells of itself, so that nothing else can be called so."""
    return name in _CATALOG or name.startswith("duckdb_")


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
        ArchiveUnavailableError: what it takes to understand it is archived, and cannot be read there.
    """
    asked = _sound.get(query, query)
    try:
        with interruptible():
            return connection.sql(asked, params=dict(params)) if params else connection.sql(asked)
    except duckdb.CatalogException as error:
        names = list(known)
        more = "" if set(names) - _WITHOUT_CLASSES else _OF_CLASSES
        raise ValidationError(f"{_said(error)}; there is {', '.join(names)}{more}") from None
    except duckdb.PermissionException as error:
        raise ValidationError(
            f"the query cannot be answered: {_said(error)}; SQL reads the log here, and no files: for these there is"
            " connect(..., files=True)"
        ) from None
    except duckdb.Error as error:
        raise archive_away(error) or ValidationError(f"the query cannot be answered: {_said(error)}") from None


def _said(error: duckdb.Error) -> str:
    """What DuckDB says, without its guesses among tables of its own."""
    return str(error).partition("\nDid you mean")[0].strip().rstrip("!")
