"""Every row by its key, area by area in the order of the report: a row is a constant of its area's file."""

from types import ModuleType

from bench.harness.row import Row
from bench.rows import (
    anatomy,
    exchange,
    framework,
    log,
    mysql,
    packed,
    postgres,
    process,
    reactions,
    replay,
    replicated,
    scenarios,
    sql,
)

__all__ = ["AREAS", "ROWS"]


def rows_of(area: ModuleType) -> dict[str, Row]:
    return {row.key: row for row in vars(area).values() if isinstance(row, Row)}


AREAS: dict[str, dict[str, Row]] = {
    "The log": rows_of(log),
    "The framework": rows_of(framework),
    "Reactions": rows_of(reactions),
    "Replay": rows_of(replay),
    "SQL": rows_of(sql),
    "Exchange": rows_of(exchange),
    "Compressed files": rows_of(packed),
    "Scenarios": rows_of(scenarios),
    "PostgreSQL": rows_of(postgres),
    "MySQL and MariaDB": rows_of(mysql),
    "Several machines": rows_of(replicated),
    "The process": rows_of(process),
    "Where the time goes": rows_of(anatomy),
}

ROWS: dict[str, Row] = {key: row for area in AREAS.values() for key, row in area.items()}
assert len(ROWS) == sum(map(len, AREAS.values())), "two rows have the same key"
