"""What stands against conditions: one question for each item of theirs, asked while the log is locked.

The server looks how many entries the index has for each tag behind the position, and begins with the fewest.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from act_fast._rows import ConditionRow, ItemRow

__all__ = ["newest_by", "newest_question"]


def newest_question(prefix: str, conditions: Sequence[ConditionRow]) -> tuple[str, list[Any]]:
    """Statements, each behind a semicolon, that find the newest event of each item; and what they are given."""
    text, given = "", []
    for items, after in conditions:
        for item in items:
            question, values = _question(item, after)
            text += ";" + question.replace("{schema}.", f"{prefix}_")
            given += values
    return text, given


def newest_by(conditions: Sequence[ConditionRow], found: Sequence[Sequence[tuple[Any, ...]]]) -> list[int]:
    """The position of the newest event that stands against each condition, 0 if none does, by the rows of each item."""
    rows: Iterator[Sequence[tuple[Any, ...]]] = iter(found)
    return [max((row[0] or 0 for _ in items for row in next(rows)), default=0) for items, _ in conditions]


def _question(item: ItemRow, after: int) -> tuple[str, list[Any]]:
    names, tags = item
    if tags:
        return _by_tags(names, tags, after)
    if not names:
        return "select position from {schema}.log where one = 1 and position > %s", [after]
    each = "select max(position) as position from {schema}.events where name = %s and position > %s"
    question = f"select max(position) from ({' union all '.join([each] * len(names))}) as found"
    return question, [value for name in names for value in (name, after)]


def _by_tags(names: Sequence[str], tags: Sequence[str], after: int) -> tuple[str, list[Any]]:
    first, *others = tags
    joined = "".join(
        f" join {{schema}}.tags as t{number} on t{number}.position = t.position and t{number}.tag = %s"
        f" and t{number}.position > %s"
        for number in range(len(others))
    )
    given: list[Any] = [value for tag in others for value in (tag, after)]
    named = " straight_join {schema}.events as e on e.position = t.position and e.name in %s" if names else ""
    given += [list(names)] if names else []
    question = (
        f"select t.position from {{schema}}.tags as t{joined}{named} where t.tag = %s and t.position > %s"
        " order by t.position desc limit 1"
    )
    return question, [*given, first, after]
