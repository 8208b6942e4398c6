"""Everything a caller can get wrong: a clear error, nothing lost, nothing written."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from act_fast import Append, Event, LogStore, Meta
from act_fast.errors import ActError, StoreClosedError, ValidationError
from tests.support.log_verbs import verbs
from tests.support.numbered import numbers, pair, pairs

BAD_NAMES = {
    "empty": "",
    "513 bytes": "x" * 513,
    "513 bytes of UTF-8": "€" * 171,
    "NUL": "a\0b",
    "newline": "a\nb",
    "trailing newline": "a\n",
    "lone surrogate": "a\udc80b",
}
NOT_TEXT = {"None": None, "int": 7, "bytes": b"a", "list": ["a"]}
NOT_JSON = {
    "nothing": b"",
    "blank": b"  ",
    "a bare word": b"hello",
    "half an object": b'{"a":1',
    "a trailing comma": b'{"a":1,}',
    "two values": b"1 2",
    "rubbish behind": b'{"a":1}}',
    "single quotes": b"{'a':1}",
    "NaN": b"NaN",
    "a leading zero": b"01",
    "a raw newline in a string": b'"a\nb"',
    "a bad escape": b'"\\x"',
    "invalid UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "cut UTF-8": b'"\xe2\x82"',
    "a byte-order mark": b"\xef\xbb\xbf1",
    "NUL behind": b"1\0",
}
NOT_A_COUNT = {"negative": -1, "float": 1.0, "text": "1", "True": True, "False": False, "bytes": b"1", "vast": 2**64}


class Noted(Event):
    text: str


class Anything(Event):
    value: Any


def cases(values: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bad", list(values.values()), ids=list(values))


@pytest.fixture
def kept(store: LogStore) -> Iterator[LogStore]:
    """A store with five events in `a`; the test must leave it exactly so, and usable."""
    store.append("a", pairs(5))
    yield store
    assert (store.head, store.version("a"), numbers(store.load("a"))) == (5, 5, [1, 2, 3, 4, 5])
    assert [info.stream for info in store.streams()] == ["a"]
    assert store.names() == {"Counted": 5}
    assert store.append("a", pairs(1), expected_version=5).first_position == 6
    assert store.verify().healthy


@cases(BAD_NAMES | NOT_TEXT)
def test_a_stream_that_is_no_name_cannot_be_appended_to(kept: LogStore, bad: Any) -> None:
    for append in (
        lambda: kept.append(bad, pairs(1)),
        lambda: kept.append(bad, [Noted("x")]),
        lambda: kept.append(bad, [pair(1), Noted("x")], expected_version=0, meta=Meta(correlation="r")),
        lambda: kept.append_many([Append("b", pairs(1)), Append(bad, pairs(1))]),
    ):
        with pytest.raises(ValidationError):
            append()


@cases(BAD_NAMES | NOT_TEXT)
def test_an_event_name_that_is_none_cannot_be_appended(kept: LogStore, bad: Any) -> None:
    attempts: list[list[Any]] = [[(bad, b"1")], [*pairs(3), (bad, b"1")], [Noted("x"), (bad, b"1")]]
    for events in attempts:
        with pytest.raises(ValidationError):
            kept.append("a", events)
        with pytest.raises(ValidationError):
            kept.append_many([Append("b", pairs(1)), Append("a", events)])


@cases({name: bad for name, bad in NOT_JSON.items() if bad.strip()})
def test_data_that_is_not_json_cannot_hide_in_an_event(kept: LogStore, bad: bytes) -> None:
    with pytest.raises(ValidationError):
        kept.append("a", [Anything(msgspec.Raw(bad))])
    with pytest.raises(ValidationError):
        kept.append_many([Append("a", [Anything([msgspec.Raw(bad)])])])


@cases(NOT_JSON)
def test_data_that_is_not_json_cannot_be_appended(kept: LogStore, bad: bytes) -> None:
    attempts: list[list[Any]] = [
        [("Bad", bad)],
        [*pairs(3), ("Bad", bad)],
        [Noted("x"), ("Bad", bad)],
        [("Bad", bad), Noted("x")],
    ]
    for events in attempts:
        with pytest.raises(ValidationError):
            kept.append("a", events)
        with pytest.raises(ValidationError):
            kept.append_many([Append("b", pairs(1)), Append("a", events)])


@cases({"text": "1", "None": None, "dict": {"a": 1}, "int": 1, "bytearray": bytearray(b"1"), "view": memoryview(b"1")})
def test_data_that_is_not_bytes_cannot_be_appended(kept: LogStore, bad: Any) -> None:
    attempts: list[list[Any]] = [[("Bad", bad)], [*pairs(3), ("Bad", bad)], [Noted("x"), ("Bad", bad)]]
    for events in attempts:
        with pytest.raises(ValidationError):
            kept.append("a", events)


@cases({"empty list": [], "empty tuple": ()})
def test_an_append_without_events_is_refused(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.append("a", bad)
    with pytest.raises(ValidationError):
        kept.append("new", bad, expected_version=0)
    with pytest.raises(ValidationError):
        kept.append_many([Append("b", pairs(1)), Append("a", bad)])
    with pytest.raises(ValidationError):
        kept.append_many([])


@cases({
    "an event alone": Noted("x"), "a pair alone": pair(1), "None": None, "text": "ab", "bytes": b"ab", "int": 7,
    "a set": {pair(1)}, "a dict": {"a": b"1"}, "a generator": (each for each in pairs(2)),
    "a triple": [("a", b"1", b"2")], "a single": [("a",)], "no pair": [()], "a list for a pair": [["a", b"1"]],
    "a text": ["ab"], "None inside": [None], "None behind": [pair(1), None], "None behind an event": [Noted("x"), None],
    "a class": [Noted], "a struct that is not an event": [Meta()], "a class behind": [pair(1), Noted],
})  # fmt: skip
def test_what_is_no_sequence_of_events_cannot_be_appended(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.append("a", bad)
    with pytest.raises(ValidationError):
        kept.append_many([Append("a", bad)])


@cases({"None": None, "one alone": Append("a", pairs(1)), "a pair": ("a", pairs(1)), "pairs": pairs(2), "text": "ab"})
def test_append_many_takes_nothing_but_a_sequence_of_appends(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.append_many(bad)


@cases({"None": None, "a pair": ("a", pairs(1)), "a triple": ("a", pairs(1), None), "an event": Noted("x")})
def test_append_many_takes_nothing_but_appends(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.append_many([Append("b", pairs(1)), bad])


def test_an_event_that_cannot_be_json_is_refused(kept: LogStore) -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (object(), {1, lambda: 0}, loop, float, "\udc80"):
        with pytest.raises(ValidationError):
            kept.append("a", [Anything(value)])
        with pytest.raises(ValidationError):
            kept.append("a", [pair(1), Anything(value)])


@cases({"dict": {"correlation": "r"}, "text": "r", "bytes": b"{}"})
def test_meta_must_be_a_meta(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.append("a", pairs(1), meta=bad)
    with pytest.raises(ValidationError):
        kept.append_many([Append("a", pairs(1))], meta=bad)


def test_meta_that_cannot_be_json_is_refused(kept: LogStore) -> None:
    for value in (object(), "\udc80", {("a", 1): 1}):
        with pytest.raises(ValidationError):
            kept.append("a", pairs(1), meta=Meta(extra={"value": value}))


@cases(NOT_A_COUNT)
def test_a_version_that_is_none_cannot_be_expected(kept: LogStore, bad: Any) -> None:
    attempts: list[list[Any]] = [pairs(1), [Noted("x")], [pair(1), Noted("x")]]
    for events in attempts:
        with pytest.raises(ValidationError):
            kept.append("a", events, expected_version=bad)
        with pytest.raises(ValidationError):
            kept.append_many([Append("a", events, bad)])


@cases(NOT_A_COUNT)
def test_a_bound_that_is_no_number_is_refused_when_it_is_given(kept: LogStore, bad: Any) -> None:
    for ask in (
        lambda: kept.load("a", after=bad),
        lambda: kept.load("a", before=bad),
        lambda: kept.load("a", limit=bad),
        lambda: kept.query(after=bad),
        lambda: kept.query(before=bad),
        lambda: kept.query(limit=bad),
        lambda: kept.streams(limit=bad),
        lambda: kept.latest_snapshot("a", at_or_below=bad),
        lambda: kept.save_snapshot("a", bad, b"x"),
        lambda: kept.wait(bad, 0),
        lambda: asyncio.run(kept.wait_async(bad, 0)),
    ):
        with pytest.raises(ValidationError):
            ask()


def test_none_is_no_after(kept: LogStore) -> None:
    nothing: Any = None
    for ask in (lambda: kept.load("a", after=nothing), lambda: kept.query(after=nothing), lambda: kept.wait(nothing)):
        with pytest.raises(ValidationError):
            ask()


@cases(NOT_TEXT)
def test_a_stream_to_read_must_be_text(kept: LogStore, bad: Any) -> None:
    for ask in (
        lambda: kept.load(bad),
        lambda: kept.version(bad),
        lambda: kept.latest_snapshot(bad),
        lambda: kept.save_snapshot(bad, 1, b"x"),
    ):
        with pytest.raises(ValidationError):
            ask()


@cases({key: value for key, value in NOT_TEXT.items() if value is not None} | {"surrogate": "\udc80"})
def test_what_is_asked_for_must_be_text(kept: LogStore, bad: Any) -> None:
    for ask in (
        lambda: kept.query(stream=bad),
        lambda: kept.query(pattern=bad),
        lambda: kept.query(correlation=bad),
        lambda: kept.query(names=[bad]),
        lambda: kept.streams(pattern=bad),
        lambda: kept.streams(after=bad),
    ):
        with pytest.raises(ValidationError):
            ask()


@cases({"one name": "Counted", "bytes": b"Counted", "int": 7, "None inside": ["Counted", None]})
def test_names_must_be_several_and_not_one_text(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.query(names=bad)


@cases({"open group": "(", "open class": "[a", "nothing to repeat": "*", "look-behind": "(?<=a)b",
        "look-ahead": "a(?!b)", "back-reference": r"(a)\1", "vast": "a{1000}{1000}{1000}"})  # fmt: skip
def test_a_bad_pattern_is_refused_when_it_is_given(kept: LogStore, bad: str) -> None:
    with pytest.raises(ValidationError):
        kept.query(pattern=bad)
    with pytest.raises(ValidationError):
        kept.streams(pattern=bad)


@cases({"naive": datetime(2024, 1, 1), "a date": date(2024, 1, 1), "text": "2024-01-01T00:00:00Z", "a number": 1.7e9})
def test_a_moment_must_be_a_datetime_that_knows_its_zone(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.query(created_after=bad)
    with pytest.raises(ValidationError):
        kept.query(created_before=bad)


@cases({"negative": -0.1, "NaN": float("nan"), "text": "1", "True": True})
def test_a_timeout_must_be_a_number_of_seconds(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.wait(0, bad)
    with pytest.raises(ValidationError):
        asyncio.run(kept.wait_async(0, bad))


def test_a_timeout_may_be_infinite(kept: LogStore) -> None:
    assert kept.wait(0, float("inf")) == 5
    assert kept.wait(0, 1e300) == 5


def test_backwards_must_be_true_or_false(kept: LogStore) -> None:
    bad: Any = "yes"
    with pytest.raises(ValidationError):
        kept.query(backwards=bad)


@cases({"text": "x", "None": None, "bytearray": bytearray(b"x")})
def test_a_snapshot_must_be_bytes(kept: LogStore, bad: Any) -> None:
    with pytest.raises(ValidationError):
        kept.save_snapshot("a", 1, bad)


def test_a_payload_over_the_limit_is_refused_with_all_that_came_with_it(store_path: Path) -> None:
    with LogStore(store_path, payload_max_bytes=100) as store:
        for size in (101, 1000, 10_000_000):
            large = ("Large", b'"' + b"x" * (size - 2) + b'"')
            attempts: list[list[Any]] = [[large], [pair(1), large], [Noted("x" * size)]]
            for events in attempts:
                with pytest.raises(ValidationError, match="100"):
                    store.append("a", events)
        assert (store.head, list(store.streams())) == (0, [])


def test_a_payload_over_16_mib_is_refused_by_default(store: LogStore) -> None:
    with pytest.raises(ValidationError):
        store.append("a", [("Large", b'"' + b"x" * (16 * 1024 * 1024 - 1) + b'"')])
    assert store.head == 0


@pytest.mark.parametrize(
    "options",
    [
        {"durability": "sometimes"}, {"durability": 1},
        {"flush_interval": 0}, {"flush_interval": -1}, {"flush_interval": "1"}, {"flush_interval": float("nan")},
        {"segment_bytes": 0}, {"segment_bytes": -1}, {"segment_bytes": 1000}, {"segment_bytes": 65536.0},
        {"segment_bytes": 2**40}, {"segment_bytes": True},
        {"payload_max_bytes": 0}, {"payload_max_bytes": -1}, {"payload_max_bytes": "1"},
        {"read_only": None}, {"create": "no"},
    ],
    ids=str,
)  # fmt: skip
def test_an_option_that_cannot_be_right_is_refused_and_nothing_is_made(
    store_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        LogStore(store_path, **options)
    assert not store_path.exists()


@cases({"None": None, "int": 3, "empty": "", "bytes": b"/tmp/x", "NUL": "/tmp/a\0b"})
def test_a_path_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(ValidationError):
        LogStore(bad)


def test_a_message_never_carries_a_payload(store: LogStore) -> None:
    secret = "the-secret"
    data = b'{"pin": "' + secret.encode() + b'"'
    attempts: list[Callable[[], object]] = [
        lambda: store.append("a", [("Bad", data)]),
        lambda: store.append("a", [("Bad", secret)]),  # type: ignore[list-item]
        lambda: store.append("a", [("Bad", secret, secret)]),  # type: ignore[list-item]
        lambda: store.append("a", [secret]),  # type: ignore[list-item]
        lambda: store.append("a", [("", b'"' + secret.encode() + b'"')]),
    ]
    for attempt in attempts:
        with pytest.raises(ValidationError) as caught:
            attempt()
        assert secret not in str(caught.value)


def test_closing_twice_is_fine(store: LogStore) -> None:
    store.close()
    store.close()
    with store:
        pass
    assert store.closed


def test_an_open_store_is_not_closed(store: LogStore) -> None:
    assert not store.closed


def test_after_closing_every_verb_says_that_the_store_is_closed(store: LogStore) -> None:
    store.append("a", pairs(5))
    store.close()
    for use in (*verbs(store), lambda: store.append("a", [Noted("x")])):
        with pytest.raises(StoreClosedError):
            use()


def test_reading_on_after_closing_says_that_the_store_is_closed_or_gives_what_was_read(store: LogStore) -> None:
    for _ in range(5):
        store.append("a", pairs(1000))
    readers: list[Iterator[object]] = [store.load("a"), store.query(), store.query(backwards=True), store.streams()]
    for reader in readers:
        next(reader)
    store.close()
    for reader in readers:
        with contextlib.suppress(StoreClosedError):  # a reader that has all its events at hand may give them
            list(reader)


def test_the_closed_store_still_has_a_name(store: LogStore) -> None:
    before = repr(store)
    store.close()
    assert repr(store) == before


def test_a_with_block_closes_also_when_it_fails(store_path: Path) -> None:
    with pytest.raises(KeyError), LogStore(store_path) as store:
        raise KeyError
    assert store.closed


def test_every_error_is_one_of_ours(kept: LogStore) -> None:
    values: list[Any] = [None, -1, "", "\udc80", b"", (), [None], object(), float("nan"), 2**70]
    verbs: list[Callable[[Any, Any], object]] = [
        lambda one, other: kept.append(one, other),
        lambda one, other: kept.append("a", one, expected_version=other),
        lambda one, other: kept.append("a", pairs(1), expected_version=7, meta=one),
        lambda one, other: kept.append_many(one, meta=other),
        lambda one, other: kept.append_many([Append("a", one, other)]),
        lambda one, other: kept.load(one, after=other),
        lambda one, other: kept.load("a", before=one, limit=other),
        lambda one, other: kept.query(stream=one, names=other),
        lambda one, other: kept.query(pattern=one, correlation=other),
        lambda one, other: kept.query(created_after=one, backwards=other),
        lambda one, other: kept.streams(pattern=one, after=other),
        lambda one, other: kept.save_snapshot(one, other, b"x"),
        lambda one, other: kept.save_snapshot("a", one, other),
        lambda one, other: kept.latest_snapshot(one, at_or_below=other),
    ]
    for verb, one, other in itertools.product(verbs, values, values):
        with contextlib.suppress(ActError):
            verb(one, other)
