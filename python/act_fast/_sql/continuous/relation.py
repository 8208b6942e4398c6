"""A view as a relation: its question, asked of what is kept for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from act_fast._checks.sql_text import quoted_name
from act_fast._core import Groups
from act_fast._sql.continuous.keeper import Keeper
from act_fast._sql.continuous.plan import Plan, Source, plan_of, source_of
from act_fast._sql.duckdb_database import register
from act_fast._sql.question import ask, check_question, words_of
from act_fast._sql.scan import Condition
from act_fast._sql.session import Session
from act_fast.errors import DefinitionError, ValidationError
from act_fast.stores.port import Store

__all__ = ["ContinuousRelation", "KeptQuestion"]


@dataclass(frozen=True)
class KeptQuestion:
    """A question that is kept answered.

    Attributes:
        name: what it is called.
        query: the question.
        keeper: what keeps it in this process.
    """

    name: str
    query: str
    keeper: Keeper = field(compare=False)


class ContinuousRelation:
    """A question that is kept answered, as a relation.

    Attributes:
        asked: the question.
    """

    functions: Sequence[str] = ()

    def __init__(self, asked: KeptQuestion, sources: Mapping[str, Source], session: Session) -> None:
        """Raises `DefinitionError` where the question is none that can be kept."""
        self.name: str = asked.name
        self.asked: KeptQuestion = asked
        self.called: Sequence[str] = (asked.name.casefold(),)
        self._keeper = asked.keeper
        self._kept = f"{asked.name} kept"
        try:
            self._plan = self._planned(asked.query, sources, session)
        except (DefinitionError, ValidationError) as error:
            raise DefinitionError(f"the view {asked.name!r}: {error}") from None

    def place(self, session: Session) -> None:
        """See `Relation`."""
        scan = _KeptScan(self._keeper, self._plan, session.store, session.position)
        register(session.connection, self._kept, scan)
        session.connection.execute(f"create or replace temp view {quoted_name(self.name)} as {self._plan.select}")

    def keep(self, session: Session) -> int:
        """Move on to the position of a session, without reading anything."""
        with self._keeper.at(self._plan, session.store, session.position):
            return session.position

    def _planned(self, query: str, sources: Mapping[str, Source], session: Session) -> Plan:
        connection, names = session.connection, [source.name for source in sources.values()]
        check_question(connection, query, relations=names)
        source = source_of(connection, query, sources)
        words = words_of(query)
        for name, each in sources.items():
            if words is None or name in words:
                each.place_empty(session)
        found: duckdb.DuckDBPyRelation = ask(connection, query, {}, names)
        return plan_of(connection, query, source, self._kept, found.columns)


class _KeptScan:
    """What is kept for a view, as of a cut; moved on to it when it is read."""

    def __init__(self, keeper: Keeper, plan: Plan, store: Store, cut: int) -> None:
        self._keeper, self._plan, self._store, self._cut = keeper, plan, store, cut
        empty = plan.source.scans(store)(0, 0).only(plan.columns)
        self._empty = Groups(plan.question, empty)
        self.columns: Sequence[str] = plan.names

    def __arrow_c_schema__(self) -> object:
        return self._empty.__arrow_c_schema__()

    def accepts(self, condition: Condition) -> bool:
        """See `Scan`: groups are few, so DuckDB may as well look at all of them."""
        return False

    def read(self, columns: Sequence[str] | None, conditions: Sequence[Condition]) -> tuple[object, bool]:
        """See `Scan`. Always all columns."""
        with self._keeper.at(self._plan, self._store, self._cut) as groups:
            return groups.__arrow_c_stream__(), False
