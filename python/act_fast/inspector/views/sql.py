"""SQL: the relations, a question and its answer as a table or a chart, what was asked before, and downloads."""

import csv as comma_separated
import os
import tempfile
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from act_fast.errors import ValidationError
from act_fast.inspector.drawing.chart import chart
from act_fast.inspector.page import Page

__all__ = ["csv", "parquet", "show"]

_LETTERS: Final = 100_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

_EXAMPLES: Final = (
    ("Events by name", "select name, count(*) as events from events group by name order by events desc"),
    (
        "Events by hour",
        "select date_trunc('hour', created) as hour, count(*) as events from events group by 1 order by 1",
    ),
    ("Busiest streams", "select stream, version as events from streams order by events desc limit 20"),
    ("Furthest behind", "select name, lag, error from targets where lag > 0 order by lag desc limit 20"),
)


def show(page: Page) -> Response:
    """The page, with an answer where there is a question."""
    query = page.given("q")
    usable = page.payload == "full" and page.subject.questions.installed
    table, problem, drawn = None, "", None
    if query and usable:
        try:
            table = page.subject.questions.ask(query, page.at)
        except ValidationError as error:
            problem = str(error)
        else:
            drawn = chart(table.columns, table.rows)
    return page.render(
        "sql.html",
        query=query,
        usable=usable,
        relations=page.subject.questions.relations() if usable else [],
        examples=_EXAMPLES,
        table=table,
        cells=[[_cell(each) for each in row] for row in table.rows] if table else [],
        problem=problem,
        chart=drawn,
        as_chart=page.given("view") == "chart" and drawn is not None,
        history=[*islice(page.subject.questions.history, 12)],
        status=400 if problem else 200,
    )


def csv(page: Page) -> Response:
    """All rows of an answer as comma-separated values with titles."""

    def write(answer: Any, file: str) -> None:
        with open(file, "w", newline="") as out:
            writer = comma_separated.writer(out, lineterminator="\n")
            writer.writerow(map(_harmless, answer.columns))
            writer.writerows([_harmless(_plain(each)) for each in row] for row in answer.iter_rows())

    return _file(page, "answer.csv", "text/csv", write)


def parquet(page: Page) -> Response:
    """All rows of an answer as a Parquet file."""
    import duckdb

    def write(answer: Any, file: str) -> None:
        # The connection that answers has no access to files; this one runs nothing but this copy.
        with duckdb.connect() as writer:
            writer.register("answer", _Arrow(answer))
            writer.execute(f"copy answer to '{file}' (format parquet)")

    return _file(page, "answer.parquet", "application/vnd.apache.parquet", write)


def _file(page: Page, name: str, kind: str, write: Callable[[Any, str], None]) -> Response:
    """An answer as a file: written first, so that no other question waits for a slow download."""
    if page.payload != "full" or not page.subject.questions.installed:
        raise ValidationError("SQL is off here, because it would show what events hold; start with --payload full")
    folder = tempfile.TemporaryDirectory(prefix="act-fast-")
    try:
        file = os.path.join(folder.name, name)
        with page.subject.questions.answer(page.needed("q"), page.at) as (answer, _):
            write(answer, file)
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(file, media_type=kind, filename=name, background=BackgroundTask(folder.cleanup))


class _Arrow:
    """An answer as a stream that another connection reads."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._answer.__arrow_c_stream__(requested_schema)


def _harmless(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: with a quote before it, unless it is a number."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _cell(value: Any) -> tuple[str, str]:
    """A value as text, and whether it is a number, nothing, or else."""
    if value is None:
        return "null", "null"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    words = _plain(value)
    return words if len(words) <= _LETTERS else f"{words[:_LETTERS]}…", "number" if number else "text"


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat(sep=" ")
        case bytes():
            return value.hex()
        case list() | tuple() | dict():
            try:
                return msgspec.json.encode(value).decode()
            except (TypeError, ValueError):
                return str(value)
        case _:
            return str(value)
