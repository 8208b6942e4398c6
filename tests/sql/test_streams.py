"""The relation `streams` comes from the index, and tells what the events themselves would."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from act_fast import Act, LogStore, connect
from act_fast._sql.log_scan import LogScan
from tests.support.bank import Account

BY_EVENTS = (
    "select stream, max(version) as version, min(position) as first_position, max(position) as last_position,"
    " min(created) as first_created, max(created) as last_created, arg_max(name, position) as last_name"
    " from events group by stream"
)
COLUMNS = ["stream", "version", "first_position", "last_position", "first_created", "last_created", "last_name"]
COMMITS = st.lists(st.tuples(st.sampled_from("abcdé"), st.lists(st.sampled_from(["Opened", "Closed"]), min_size=1)))


def rows(app: Act, query: str, at: int | None = None) -> list[Any]:
    return sorted(app.sql(query, at=at).fetchall())


def filled(commits: list[tuple[str, list[str]]]) -> LogStore:
    store = LogStore.memory()
    for stream, names in commits:
        store.append(stream, [(name, b"{}") for name in names])
        if len(names) > 3:
            store.save_snapshot(stream, 1, b"{}")
    return store


@settings(max_examples=50, deadline=None)
@given(COMMITS, st.sets(st.sampled_from(COLUMNS), min_size=1), st.sets(st.sampled_from("abxé"), min_size=1))
def test_streams_are_what_their_events_say_at_any_cut(
    commits: list[tuple[str, list[str]]], some: set[str], named: set[str]
) -> None:
    with Act(filled(commits), Account, unknown="skip") as app:
        columns = ", ".join(some)
        condition = f"stream in ({', '.join(map(repr, named))})"
        for cut in {0, 1, app.store.head // 2, app.store.head}:
            assert rows(app, "from streams", cut) == rows(app, BY_EVENTS, cut)
            assert rows(app, f"select {columns} from streams", cut) == rows(
                app, f"select {columns} from ({BY_EVENTS})", cut
            )
            assert rows(app, f"from streams where {condition}", cut) == rows(
                app, f"from ({BY_EVENTS}) where {condition}", cut
            )


def test_streams_have_the_types_that_their_events_have(tmp_path: Path) -> None:
    with Act(tmp_path / "store", Account) as app:
        app.store.append("a", [("Opened", b"{}")])
        assert [row[:2] for row in app.sql("describe streams").fetchall()] == [
            row[:2] for row in app.sql(f"describe {BY_EVENTS}").fetchall()
        ]


def test_no_event_is_read_to_tell_of_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("events were read")

    with Act(filled([("a", ["Opened"] * 5), ("b", ["Closed"])]), Account, unknown="skip") as app:
        monkeypatch.setattr(LogScan, "read", never)
        assert rows(app, "select stream, version, last_name from streams") == [("a", 5, "Opened"), ("b", 1, "Closed")]
        assert rows(app, "select count(*) from streams where stream = 'b'") == [(1,)]


def test_more_streams_than_go_into_one_batch(tmp_path: Path) -> None:
    with Act(LogStore(tmp_path / "store", durability="os"), Account, unknown="skip") as app:
        for number in range(9000):
            app.store.append(f"stream-{number % 8500}", [("Opened", b"{}")])
        assert rows(app, "from streams") == rows(app, BY_EVENTS)
        assert rows(app, "from streams", 5000) == rows(app, BY_EVENTS, 5000)


def test_a_log_that_was_pruned_tells_of_the_same_streams(tmp_path: Path) -> None:
    with Act(tmp_path / "store", Account) as app:
        for number in range(3):
            app.store.append(f"account-{number}", [("Opened", b'{"owner":"ada"}'), ("Deposited", b'{"amount":3}')])
        app.store.redact([2], drop=True, reason="a test")
        assert rows(app, "from streams") == rows(app, BY_EVENTS)


def test_streams_of_an_open_connection_end_with_its_cut() -> None:
    with Act(filled([("a", ["Opened"])]), Account, unknown="skip") as app, connect(app) as connection:
        asked = connection.sql("select stream, version from streams order by stream")
        app.store.append("a", [("Closed", b"{}")])
        app.store.append("b", [("Opened", b"{}")])
        assert asked.fetchall() == [("a", 1)]
        connection.refresh()
        assert connection.sql("select stream, version from streams order by stream").fetchall() == [("a", 2), ("b", 1)]
