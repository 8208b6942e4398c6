"""Verifying a store in a database: every event is read, and what is kept beside the events is compared with them."""

from collections import Counter
from typing import Any, Final, LiteralString

import msgspec

from act_fast._core import check_commit
from act_fast._events.meta import Meta
from act_fast._rows import Progress, Row
from act_fast.errors import ValidationError
from act_fast.stores.database.connections import Connections
from act_fast.stores.database.queries import Bounds, query_of
from act_fast.stores.values import Problem, VerifyReport

__all__ = ["verified"]

_PROBLEMS_MAX: Final = 1000
_PAYLOAD_MAX: Final = 2**62
_decode_meta: Final = msgspec.json.Decoder(Meta).decode


def verified(connections: Connections[Any], bounds_of: Bounds, progress: Progress | None) -> VerifyReport:
    """Read everything and report what is wrong.

    What is appended meanwhile is left alone: the report is about the log as it was when it began.
    """
    check = _Check(connections)
    ((head,),) = connections.ask("select position from {schema}.log")
    found = query_of(connections, bounds_of, {"before": head + 1}, False)
    while (rows := found.next_page(1000)) is not None and len(check.problems) < _PROBLEMS_MAX:
        for row in rows:
            check.event(row)
        if progress is not None:
            progress(min(check.last, head), head)
    if check.last < head:
        check.wrong("events", check.last + 1, f"the log is said to reach position {head}, but its events end before")
    check.beside(head)
    ((snapshots,),) = connections.ask("select count(*) from {schema}.snapshots")
    return VerifyReport(
        events=check.events,
        commits=check.commits,
        snapshots=snapshots,
        streams=len(check.versions),
        bytes=check.bytes,
        index_checked=True,
        problems=check.problems,
    )


class _Check:
    """What was found so far."""

    def __init__(self, connections: Connections[Any]) -> None:
        self._connections = connections
        self.problems: list[Problem] = []
        self.events = self.commits = self.bytes = self.last = 0
        self.versions: Counter[str] = Counter()
        self._created_us = self._tags = 0

    def wrong(self, table: str, position: int | None, message: str) -> None:
        if len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(Problem(table, 0, position, message))

    def event(self, row: Row) -> None:
        position, stream, version, name, created_us, data, meta, tags = row
        if position != self.last + 1:
            self.wrong("events", self.last + 1, f"position {self.last + 1} is missing: the next event is at {position}")
        self.last = position
        self.versions[stream] += 1
        if version != self.versions[stream]:
            expected = self.versions[stream]
            self.wrong("events", position, f"the event has version {version} of its stream, which is at {expected}")
            self.versions[stream] = version
        if created_us < self._created_us:
            self.wrong("events", position, "the event says that it is older than the one before it")
        self._created_us = created_us
        try:
            check_commit([(stream, [(name, data, tags)], None)], meta, _PAYLOAD_MAX)
            why = _decode_meta(meta) if meta else Meta()
            if why.event is not None and why.event.position >= position:
                self.wrong(
                    "events", position, f"the event is said to be caused by a later one, at {why.event.position}"
                )
        except (ValidationError, msgspec.MsgspecError) as error:
            self.wrong("events", position, str(error))
        self.events += 1
        self.bytes += len(data) + len(meta)
        self._tags += len(tags)

    def beside(self, head: int) -> None:
        """Compare streams, names, tags and commits, as they were at a position, with the events."""
        self._none_of(
            "streams",
            "select s.first_position, s.stream from {schema}.streams s where s.last_position <= %s and not exists ("
            " select 1 from {schema}.events f, {schema}.events l where f.stream = s.stream and f.version = 1"
            " and l.stream = s.stream and l.version = s.version and f.position = s.first_position"
            " and l.position = s.last_position and f.created_us = s.first_us and l.created_us = s.last_us"
            " and l.name = s.last_name) limit 100",
            "the record of stream {} does not match its events",
            head,
        )
        self._none_of(
            "streams",
            "select e.position, e.stream from {schema}.events e where e.version = 1 and e.position <= %s"
            " and not exists (select 1 from {schema}.streams s where s.stream = e.stream) limit 100",
            "there is no record of stream {}, which has events",
            head,
        )
        self._none_of(
            "names",
            "select null, n.name from {schema}.names n left join"
            " (select name, count(*) as count from {schema}.events"
            " where position <= (select position from {schema}.counted) group by name) c on c.name = n.name"
            " where c.count is null or c.count <> n.count limit 100",
            "the stored number of events named {} is wrong",
        )
        self._none_of(
            "names",
            "select null, e.name from {schema}.events e where position <= (select position from {schema}.counted)"
            " and not exists (select 1 from {schema}.names n where n.name = e.name) group by e.name limit 100",
            "the number of events named {} is not stored",
        )
        self._none_of(
            "events",
            "select position, stream from {schema}.events e where position <= %s and (commit_position > position"
            " or (commit_position < position and not exists (select 1 from {schema}.events b"
            " where b.position = e.position - 1 and b.commit_position = e.commit_position))) limit 100",
            "an event of stream {} belongs to no commit around it",
            head,
        )
        self._none_of(
            "snapshots",
            "select null, p.stream from {schema}.snapshots p where not exists ("
            " select 1 from {schema}.streams s where s.stream = p.stream and s.version >= p.version) limit 100",
            "a snapshot of stream {} is of a version that it has not reached",
        )
        self._none_of(
            "tags",
            "select t.position, t.tag from {schema}.tags t left join {schema}.events e on e.position = t.position"
            " where t.position <= %s and (e.tags is null or"
            " position(concat('\n', t.tag, '\n') in concat('\n', e.tags, '\n')) = 0) limit 100",
            "the tag {} leads to an event that does not carry it",
            head,
        )
        ((tags,),) = self._connections.ask("select count(*) from {schema}.tags where position <= %s", head)
        if tags != self._tags:
            self.wrong("tags", None, f"events have {self._tags} tags, but the index has {tags}")
        ((self.commits,),) = self._connections.ask(
            "select count(*) from {schema}.events where position = commit_position and position <= %s", head
        )

    def _none_of(self, table: str, question: LiteralString, message: str, *given: Any) -> None:
        for position, name in self._connections.ask(question, *given):
            self.wrong(table, position, message.format(repr(name)))
