"""What a caller can get wrong: a clear error, nothing lost, nothing written."""

import asyncio
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest

from act_fast._events.event import Event
from act_fast._events.meta import Meta
from act_fast.errors import ValidationError
from act_fast.stores.port import Store
from act_fast.stores.values import Append
from act_fast.testing.conformance.cases import Cases, numbers, pair, pairs

__all__ = ["BadInput"]

_BAD_NAMES = {
    "empty": "",
    "513 bytes": "x" * 513,
    "513 bytes of UTF-8": "€" * 171,
    "NUL": "a\0b",
    "newline": "a\nb",
    "trailing newline": "a\n",
    "lone surrogate": "a\udc80b",
}
_NOT_TEXT = {"None": None, "int": 7, "bytes": b"a", "list": ["a"]}
_NOT_JSON = {
    "nothing": b"",
    "blank": b"  ",
    "a bare word": b"hello",
    "half an object": b'{"a":1',
    "two values": b"1 2",
    "single quotes": b"{'a':1}",
    "NaN": b"NaN",
    "a raw newline in a string": b'"a\nb"',
    "invalid UTF-8": b'"\xff"',
    "a byte-order mark": b"\xef\xbb\xbf1",
    "NUL behind": b"1\0",
    "a key twice": b'{"value":1,"value":2}',
    "half a surrogate pair": rb'{"note":"ab\ud800"}',
    "beyond a double": b'{"value":1e400}',
}
_NOT_A_COUNT = {"negative": -1, "float": 1.0, "text": "1", "True": True, "False": False, "bytes": b"1", "vast": 2**64}
_BAD_PATTERNS = {
    "open group": "(", "open class": "[a", "nothing to repeat": "*", "look-behind": "(?<=a)b",
    "look-ahead": "a(?!b)", "back-reference": r"(a)\1", "vast": "a{1000}{1000}{1000}",
}  # fmt: skip


class _Noted(Event, name="conformance-noted"):
    text: str


def _each(values: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bad", list(values.values()), ids=list(values))


class BadInput(Cases):
    """What happens to arguments that cannot be right."""

    @pytest.fixture
    def kept(self, store: Store) -> Iterator[Store]:
        """A store with five events in `a`; the test must leave it exactly so, and usable."""
        store.append("a", pairs(5))
        yield store
        assert (store.head, store.version("a"), numbers(store.load("a"))) == (5, 5, [1, 2, 3, 4, 5])
        assert [info.stream for info in store.streams()] == ["a"]
        assert store.names() == {"Counted": 5}
        assert store.append("a", pairs(1), expected_version=5).first_position == 6
        assert store.verify().healthy

    @_each(_BAD_NAMES | _NOT_TEXT)
    def test_a_stream_that_is_no_name_cannot_be_used(self, kept: Store, bad: Any) -> None:
        for use in (
            lambda: kept.append(bad, pairs(1)),
            lambda: kept.append(bad, [_Noted("x")]),
            lambda: kept.append(bad, [pair(1), _Noted("x")], expected_version=0, meta=Meta(correlation="r")),
            lambda: kept.append_many([Append("b", pairs(1)), Append(bad, pairs(1))]),
            lambda: list(kept.load(bad)),
            lambda: kept.version(bad),
            lambda: kept.latest_snapshot(bad),
            lambda: kept.save_snapshot(bad, 1, b"x"),
        ):
            with pytest.raises(ValidationError):
                use()

    @_each({key: value for key, value in (_BAD_NAMES | _NOT_TEXT).items() if value is not None})
    def test_what_is_asked_for_must_be_a_name(self, kept: Store, bad: Any) -> None:
        for ask in (
            lambda: list(kept.query(stream=bad)),
            lambda: list(kept.query(names=[bad])),
            lambda: list(kept.streams(after=bad)),
        ):
            with pytest.raises(ValidationError):
                ask()

    def test_streams_go_on_only_after_one_that_is_there(self, kept: Store) -> None:
        with pytest.raises(ValidationError):
            list(kept.streams(after="nobody"))

    @_each(_BAD_NAMES | _NOT_TEXT)
    def test_an_event_name_that_is_none_cannot_be_appended(self, kept: Store, bad: Any) -> None:
        attempts: list[list[Any]] = [[(bad, b"1")], [*pairs(3), (bad, b"1")], [_Noted("x"), (bad, b"1")]]
        for events in attempts:
            with pytest.raises(ValidationError):
                kept.append("a", events)
            with pytest.raises(ValidationError):
                kept.append_many([Append("b", pairs(1)), Append("a", events)])

    @_each(_NOT_JSON)
    def test_data_that_is_not_json_cannot_be_appended(self, kept: Store, bad: Any) -> None:
        attempts: list[list[Any]] = [[("Bad", bad)], [*pairs(3), ("Bad", bad)], [_Noted("x"), ("Bad", bad)]]
        for events in attempts:
            with pytest.raises(ValidationError):
                kept.append("a", events)
            with pytest.raises(ValidationError):
                kept.append_many([Append("b", pairs(1)), Append("a", events)])

    @_each({"text": "1", "None": None, "dict": {"a": 1}, "int": 1, "bytearray": bytearray(b"1")})
    def test_data_that_is_not_bytes_cannot_be_appended(self, kept: Store, bad: Any) -> None:
        with pytest.raises(ValidationError):
            kept.append("a", [("Bad", bad)])
        with pytest.raises(ValidationError):
            kept.save_snapshot("a", 1, bad)

    @_each({
        "empty list": [], "empty tuple": (), "an event alone": _Noted("x"), "a pair alone": pair(1), "None": None,
        "text": "ab", "int": 7, "a set": {pair(1)}, "a dict": {"a": b"1"}, "a triple": [("a", b"1", b"2")],
        "None behind": [pair(1), None], "a class": [_Noted],
    })  # fmt: skip
    def test_what_is_no_sequence_of_events_cannot_be_appended(self, kept: Store, bad: Any) -> None:
        with pytest.raises(ValidationError):
            kept.append("a", bad)
        with pytest.raises(ValidationError):
            kept.append("new", bad, expected_version=0)
        with pytest.raises(ValidationError):
            kept.append_many([Append("b", pairs(1)), Append("a", bad)])

    @_each({"nothing": [], "None": None, "one alone": Append("a", pairs(1)), "pairs": pairs(2), "text": "ab"})
    def test_append_many_takes_nothing_but_a_sequence_of_appends(self, kept: Store, bad: Any) -> None:
        with pytest.raises(ValidationError):
            kept.append_many(bad)

    @_each({"dict": {"correlation": "r"}, "text": "r", "bytes": b"{}", "not JSON": Meta(extra={"value": object()})})
    def test_meta_must_be_a_meta_that_can_be_stored(self, kept: Store, bad: Any) -> None:
        with pytest.raises(ValidationError):
            kept.append("a", pairs(1), meta=bad)
        with pytest.raises(ValidationError):
            kept.append_many([Append("a", pairs(1))], meta=bad)

    @_each(_NOT_A_COUNT)
    def test_a_number_that_is_none_is_refused_when_it_is_given(self, kept: Store, bad: Any) -> None:
        for use in (
            lambda: kept.append("a", pairs(1), expected_version=bad),
            lambda: kept.append_many([Append("a", pairs(1), bad)]),
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
                use()

    @_each({"negative": -0.1, "NaN": float("nan"), "text": "1", "True": True})
    def test_a_timeout_must_be_a_number_of_seconds(self, kept: Store, bad: Any) -> None:
        with pytest.raises(ValidationError):
            kept.wait(0, bad)
        with pytest.raises(ValidationError):
            asyncio.run(kept.wait_async(0, bad))

    @_each({"one name": "Counted", "bytes": b"Counted", "int": 7, "None inside": ["Counted", None]})
    def test_names_must_be_several_and_not_one_text(self, kept: Store, bad: Any) -> None:
        with pytest.raises(ValidationError):
            kept.query(names=bad)

    @_each(_BAD_PATTERNS | {"int": 7, "surrogate": "\udc80"})
    def test_a_bad_pattern_is_refused_when_it_is_given(self, kept: Store, bad: Any) -> None:
        with pytest.raises(ValidationError):
            kept.query(pattern=bad)
        with pytest.raises(ValidationError):
            kept.streams(pattern=bad)

    @_each({"naive": datetime(2024, 1, 1), "a date": date(2024, 1, 1), "text": "2024-01-01T00:00:00Z", "number": 1.7e9})
    def test_a_moment_must_be_a_datetime_that_knows_its_zone(self, kept: Store, bad: Any) -> None:
        with pytest.raises(ValidationError):
            kept.query(created_after=bad)
        with pytest.raises(ValidationError):
            kept.query(created_before=bad)

    def test_backwards_must_be_true_or_false(self, kept: Store) -> None:
        bad: Any = "yes"
        with pytest.raises(ValidationError):
            kept.query(backwards=bad)

    def test_a_message_never_carries_a_payload(self, kept: Store) -> None:
        secret = "the-secret"
        attempts: list[list[Any]] = [
            [("Bad", b'{"pin": "the-secret"')], [("Bad", secret)], [("Bad", secret, secret)], [secret],
            [("", b'"the-secret"')],
        ]  # fmt: skip
        for events in attempts:
            with pytest.raises(ValidationError) as caught:
                kept.append("a", events)
            assert secret not in str(caught.value)
