"""What is exported and restored is what was there: to the byte, in each format.

ACT_FAST_TRIPS sets how many random logs make the trip in each format.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from act_fast import (
    ActionCause,
    Actor,
    Append,
    Causation,
    Committed,
    EventCause,
    LogStore,
    Meta,
    restore_path,
)

TRIPS = int(os.environ.get("ACT_FAST_TRIPS", "8"))
FORMATS = ["parquet", "csv", "jsonl"]

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\n\r"), min_size=1, max_size=20)
awkward = st.sampled_from(["a,b", 'a"b', "ä🙂", " ", "'", "null", "\\", "a\tb", "\u2028", "\ufeff", "-", "1"])
names = texts | awkward
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"]))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
raw = st.sampled_from(
    [
        b"null",
        b"1.10",
        b"1e5",
        b'{"a":1,"b":{"a":2}}',
        b"123456789012345678901234567890.5",
        b'"\\ud83d\\ude42"',
        b"[ 1 , 2 ]",
    ]
)
payloads = raw | values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
extras = st.dictionaries(st.text(max_size=5), scalars, max_size=2)
metas = st.none() | st.builds(
    Meta,
    correlation=st.none() | st.text(st.characters(blacklist_categories=["Cs"]), max_size=10),
    causation=st.none()
    | st.builds(
        Causation,
        action=st.none()
        | st.builds(ActionCause, name=names, stream=names, actor=st.none() | st.builds(Actor, id=names)),
    ),
    extra=extras,
)
commits = st.lists(
    st.tuples(
        st.lists(
            st.tuples(names, st.lists(st.tuples(names, payloads), min_size=1, max_size=3)), min_size=1, max_size=3
        ),
        metas,
    ),
    min_size=1,
    max_size=12,
)


def write(store: LogStore, written: list[tuple[list[tuple[str, list[tuple[str, bytes]]]], Meta | None]]) -> None:
    for parts, meta in written:
        store.append_many([Append(stream, events) for stream, events in parts], meta=meta)


def commits_in(store: LogStore) -> list[list[Committed[bytes]]]:
    """The events, commit by commit, as the exported column tells them."""
    columns = store._log.columns([("commit", "commit"), ("position", "position")])
    with duckdb.connect() as connection:
        connection.register("log", columns)
        numbers = dict(connection.execute("select position, commit from log").fetchall())
    found: dict[int, list[Committed[bytes]]] = {}
    for event in store.query():
        found.setdefault(numbers[event.position], []).append(event)
    return list(found.values())


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=TRIPS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=commits)
def test_export_and_restore_give_the_same_log(format: str, written: Any, tmp_path_factory: Any) -> None:
    folder: Path = tmp_path_factory.mktemp("trip")
    with LogStore.memory() as store:
        write(store, written)
        first = store.export(folder / f"first.{format}")
        before = commits_in(store)
    assert first.rows == sum(map(len, before))
    restored = restore_path(folder / "copy.act", first.path)
    assert (restored.events, restored.commits, restored.held, restored.causes_lost) == (first.rows, len(before), 0, 0)
    with LogStore(folder / "copy.act", create=False, durability="os") as copy:
        assert commits_in(copy) == before
        assert copy.verify().healthy
        second = copy.export(folder / f"second.{format}")
    if format != "parquet":  # whose writer notes more than the rows
        assert Path(second.path).read_bytes() == Path(first.path).read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_large_payloads_and_line_breaks_between_values_survive(format: str, tmp_path: Path) -> None:
    large = b'"' + b"x" * 3_000_000 + b'"'
    broken = b'{\n  "a": [1,\r\n 2],\n "text": "a\\nb"\n}'
    with LogStore.memory() as store:
        store.append("s", [("Large", large), ("Broken", broken), ("Large", large)])
        store.export(tmp_path / f"all.{format}")
    restore_path(tmp_path / "copy.act", tmp_path / f"all.{format}")
    with LogStore(tmp_path / "copy.act") as copy:
        found = [event.data for event in copy.query()]
    kept = broken.replace(b"\n", b" ").replace(b"\r", b" ") if format == "jsonl" else broken
    assert found == [large, kept, large]
    assert json.loads(found[1]) == {"a": [1, 2], "text": "a\nb"}


@pytest.mark.parametrize("format", FORMATS)
def test_causing_events_are_found_where_they_are_now(format: str, tmp_path: Path) -> None:
    with LogStore.memory() as store:
        for number in range(5):
            store.append("noise", [("Noise", b"1")])
            store.append("s", [("Asked", b"%d" % number)])
            asked = store.head
            cause = EventCause("Asked", "s", asked, number + 1)
            store.append(f"t-{number}", [("Answered", b"1")], meta=Meta("c", Causation(event=cause)))
        store.export(tmp_path / f"some.{format}", pattern="^[st]")
        store.export(tmp_path / f"answers.{format}", pattern="^t")
    restored = restore_path(tmp_path / "some.act", tmp_path / f"some.{format}")
    assert (restored.events, restored.causes_lost) == (10, 0)
    with LogStore(tmp_path / "some.act") as copy:
        for event in copy.query(names=["Answered"]):
            assert event.meta.event is not None
            (asked_event,) = copy.query(after=event.meta.event.position - 1, limit=1)
            assert (asked_event.name, asked_event.version) == ("Asked", event.meta.event.version)
            assert asked_event.position == event.position - 1
    restored = restore_path(tmp_path / "answers.act", tmp_path / f"answers.{format}")
    assert (restored.events, restored.causes_lost) == (5, 5)
    with LogStore(tmp_path / "answers.act") as copy:
        causes = [event.meta.event for event in copy.query()]
        assert [cause and (cause.stream, cause.position, cause.version) for cause in causes] == [
            ("s", 0, version) for version in range(1, 6)
        ]


def test_a_partitioned_export_is_restored_in_the_order_of_positions(tmp_path: Path) -> None:
    with LogStore.memory() as store:
        for number in range(300):
            store.append(f"s-{number % 5}", [(f"Kind{number % 3}", b"%d" % number)], meta=Meta(f"c-{number}"))
        made = store.export(tmp_path / "parts", partition_by="name", compression="snappy")
        assert sorted(each.name for each in Path(made.path).iterdir()) == ["name=Kind0", "name=Kind1", "name=Kind2"]
        restore_path(tmp_path / "copy.act", made.path)
        with LogStore(tmp_path / "copy.act") as copy:
            assert list(copy.query()) == list(store.query())


@pytest.mark.parametrize(
    "outer", ["name=alice", "stream=x", "version=7", "data=prod", "created=2026-01-01", "[1]", "e*"]
)
@pytest.mark.parametrize("partition_by", [None, "name", "stream"])
def test_names_of_folders_and_of_files_beside_it_do_not_matter_to_an_export(
    tmp_path: Path, outer: str, partition_by: str | None
) -> None:
    folder = tmp_path / outer
    beside = [folder] if outer == "name=a" else [tmp_path / "1", tmp_path / "ex"]
    with LogStore.memory() as other:
        other.append("other", [("Other", b"1")])
        for each in beside:
            each.mkdir(exist_ok=True)
            other.export(each / "all.parquet")
            other.export(each / "1.parquet")
    folder.mkdir(exist_ok=True)
    with LogStore.memory() as store:
        for stream in ("7", "8", "007", "2026-01-01", "NULL", "a/b=c"):
            store.append(stream, [("1", b"1"), ("2", b"2")], meta=Meta("c"))
        name = "[1].parquet" if partition_by is None else "[1]"
        made = store.export(folder / name, partition_by=partition_by)
        restore_path(tmp_path / "copy.act", made.path)
        with LogStore(tmp_path / "copy.act") as copy:
            assert list(copy.query()) == list(store.query())


def test_created_is_as_it_was_to_the_microsecond(tmp_path: Path) -> None:
    moments = ["0900-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2026-01-01T00:00:00.000001Z"]
    lines = [json.dumps({"stream": "s", "name": "N", "data": 1, "created": moment}) for moment in moments]
    (tmp_path / "old.jsonl").write_text("\n".join(lines))
    restore_path(tmp_path / "old.act", tmp_path / "old.jsonl")
    with LogStore(tmp_path / "old.act") as store:
        assert [event.created for event in store.query()] == [datetime.fromisoformat(each) for each in moments]
        assert store.append("s", [("N", b"1")]).first_position == 4
        assert store.verify().healthy
        for format in FORMATS:
            store.export(tmp_path / f"again.{format}", before=4)
            restore_path(tmp_path / f"again-{format}.act", tmp_path / f"again.{format}")
            with LogStore(tmp_path / f"again-{format}.act") as again:
                assert [event.created for event in again.query()] == [datetime.fromisoformat(each) for each in moments]
    assert datetime.now(UTC).year > 2025
