"""The tags of events in SQL: a list in `events`, the same from the log's end and from what has settled."""

from pathlib import Path

import pytest

from act_fast import Act, LogStore
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds


def test_events_have_their_tags_as_a_list(tmp_path: Path) -> None:
    with LogStore(tmp_path / "store") as store:
        store.append("a", [("A", b"1", ["course:maths", "student:ada"]), ("B", b"2")])
        store.append("b", [("A", b"3", ["course:maths"])])
        app = Act(store)
        assert app.sql("select position, tags from events order by position").fetchall() == [
            (1, ["course:maths", "student:ada"]),
            (2, []),
            (3, ["course:maths"]),
        ]
        found = app.sql("select count(*) from events where list_contains(tags, 'course:maths')").fetchall()
        assert found == [(2,)]
        assert app.sql("select distinct unnest(tags) as tag from events order by tag").fetchall() == [
            ("course:maths",),
            ("student:ada",),
        ]
        app.close()


def test_what_has_settled_keeps_its_tags(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", 10)
    with LogStore(store_path, durability="os") as store:
        for number in range(25):
            store.append("a", [("A", b"1", [f"n:{number}", "all"][: number % 3])])
        expected = [(number + 1, [f"n:{number}", "all"][: number % 3]) for number in range(25)]
        app = Act(store)
        for _ in range(2):
            assert app.sql("select position, tags from events order by position").fetchall() == expected
            assert builds.wait()
        app.close()
    assert list((store_path / "analytics").rglob("*.duckdb"))
