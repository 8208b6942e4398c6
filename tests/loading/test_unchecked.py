"""Payloads from before they were checked as they are now: what can be read is read, alike by all, the rest is told."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from act_fast import Act, Event, LogStore, State, last, total
from tests.loading.test_one_answer import one_answer

STORE = Path(__file__).parent.parent / "fixtures" / "format-1" / "unchecked"


class Noted(Event, name="Measured"):
    value: float
    note: str


class Gauge(State):
    sum: float = total(Noted.value)
    note: str | None = last(Noted.note)


READ = {
    "a number beyond a double beside": 2.5,
    "a whole number beyond 64 bits": 1.2345678901234568e29,
    "a key twice": 3.5,
    "a key twice, escaped": 3.5,
    "a key twice inside": 2.5,
    "deep": 2.5,
}
NOT_READ = {
    "a lone surrogate": "truncated",
    "a lone surrogate beside": "surrogate",
    "a key with a lone surrogate": "truncated",
    "a number beyond a double": "out of range",
    "very deep": "too many lists and objects",
}


@pytest.fixture
def unchecked(tmp_path: Path) -> Iterator[LogStore]:
    with LogStore(Path(shutil.copytree(STORE, tmp_path / "store.act")), create=False) as store:
        yield store


def test_all_streams_give_one_answer(unchecked: LogStore) -> None:
    streams = [info.stream for info in unchecked.streams()]
    assert sorted(streams) == sorted(READ | NOT_READ)
    found = one_answer(unchecked, Gauge, streams)
    app = Act(unchecked, Gauge)
    for stream, total_found in READ.items():
        assert not found[stream].error
        assert app.load(Gauge, stream).state == Gauge(total_found, "good")
    for stream, why in NOT_READ.items():
        assert why in found[stream].error
        assert f"version 2 of stream {stream!r}" in found[stream].error


def test_all_events_are_listed_and_what_does_not_decode_is_told(unchecked: LogStore) -> None:
    assert unchecked.verify().healthy
    app = Act(unchecked, Gauge)
    failing = app.sql("select stream, version from noted where error is not null").fetchall()
    assert sorted(failing) == sorted((stream, 2) for stream in NOT_READ)
    for stream in READ | NOT_READ:
        assert [event.version for event in unchecked.load(stream)] == [1, 2, 3]


def test_a_log_that_holds_them_goes_on(unchecked: LogStore) -> None:
    head = unchecked.head
    assert unchecked.append("very deep", [Noted(1.0, "new")]).last_position == head + 1
