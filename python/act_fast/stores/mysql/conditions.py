"""What stands against conditions and keys: one question for each item of theirs, asked while the log is locked.

The server looks how many entries the index has for each tag behind the position, and begins with the fewest.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from act_fast._rows import ItemRow
from act_fast.stores.database.writer import Request
from act_fast.stores.once import key_tag

__all__ = ["newest_by", "newest_question"]

_KEY: Final = """
select e.position from {schema}.tags as t straight_join {schema}.events as e on e.position = t.position
    where t.tag = %s and e.created_us >= %s order by t.position desc limit 1
"""


def newest_question(prefix: str, batch: Sequence[Request]) -> tuple[str, list[Any]]:
    """Statements, each behind a semicolon, that find the newest event of each item; and what they are given."""
    text, given = "", []
    for request in batch:
        asked = [_question(item, after) for items, after in request.conditions for item in items]
        if request.once is not None:
            key, since = request.once
            asked.append((_KEY, [key_tag(key), since]))
        for question, values in asked:
            text += ";" + question.replace("{schema}.", f"{prefix}_")
            given += values
    return text, given


def newest_by(batch: Sequence[Request], found: Sequence[Sequence[tuple[Any, ...]]]) -> list[int]:
    """The position of the newest event that stands against each condition and key, as `Plan` takes them."""
    rows: Iterator[Sequence[tuple[Any, ...]]] = iter(found)
    newest: list[int] = []
    for request in batch:
        counts = [len(items) for items, _ in request.conditions] + [1] * (request.once is not None)
        newest += (max((row[0] or 0 for _ in range(count) for row in next(rows)), default=0) for count in counts)
    return newest


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
