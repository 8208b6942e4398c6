"""Questions that are kept answered, as an app hands them out."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast.errors import DefinitionError

if TYPE_CHECKING:
    from act_fast._app.pipeline import Engine
    from act_fast._sql.continuous.relation import KeptQuestion
    from act_fast._sql.library import Library

__all__ = ["ContinuousView", "defined", "views_of"]

_NAME: Final = re.compile(r"[^\W\d]\w*")


class ContinuousView:
    """A question whose answer is kept up to date, as `Act.view` makes it.

    Reading it, here or in SQL, first brings it up to the head of the log, so it is never behind.
    """

    def __init__(self, question: "Callable[[], KeptQuestion]", library: "Callable[[], Library]") -> None:
        self._newest = question
        self._library = library

    @property
    def _question(self) -> "KeptQuestion":
        """What was defined last under its name, which is what it answers."""
        return self._newest()

    @property
    def name(self) -> str:
        """What it is called in SQL."""
        return self._question.name

    @property
    def query(self) -> str:
        """The question."""
        return self._question.query

    @property
    def position(self) -> int:
        """The position that it was last brought up to in this process; 0 before it was read here."""
        asked = self._question
        return asked.keeper.position_of(asked.query)

    def rows(self, *, at: int | datetime | None = None) -> list[dict[str, Any]]:
        """Its rows as of now, or of a position or a time, each by the names of its columns.

        A moment before `position` is counted from the log again.
        """
        from act_fast._checks.sql_text import quoted_name

        found = self._library().sql(f"select * from {quoted_name(self.name)}", {}, at)
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]

    def keep(self) -> int:
        """Bring it up to the head without reading it, and return the position; for quiet times."""
        from act_fast._sql.duckdb_database import new_session

        library = self._library()
        return library.continuous(self.name).keep(library.session(new_session(library)))

    def __repr__(self) -> str:
        return f"ContinuousView({self.name!r}, position={self.position})"


def defined(engine: "Engine", library: "Callable[[], Library]", name: str, query: str) -> ContinuousView:
    """Define a view of an app; nothing is changed where it cannot be."""
    need("SQL", "duckdb", "fsspec")
    from act_fast._sql.continuous.keeper import Keeper
    from act_fast._sql.continuous.relation import KeptQuestion

    name, query = arguments.text("name", name), arguments.text("the query", query)
    if not _NAME.fullmatch(name) or not _NAME.fullmatch(name.casefold()):
        raise DefinitionError(f"a view's name must be a word, such as sales_per_day, not {name!r}")
    with engine.defining:
        before = engine.continuous
        known = before.get(name.casefold())
        if known is None or (known.name, known.query) != (name, query):
            keeper = Keeper(name) if known is None else known.keeper
            engine.continuous = {**before, name.casefold(): KeptQuestion(name, query, keeper)}
        try:
            library()
        except BaseException:
            engine.continuous = before
            raise
        return _view(engine, name.casefold(), library)


def views_of(engine: "Engine", library: "Callable[[], Library]") -> Mapping[str, ContinuousView]:
    """The views of an app, by name."""
    found = {each.name: _view(engine, key, library) for key, each in engine.continuous.items()}
    return MappingProxyType(found)


def _view(engine: "Engine", key: str, library: "Callable[[], Library]") -> ContinuousView:
    return ContinuousView(lambda: engine.continuous[key], library)
