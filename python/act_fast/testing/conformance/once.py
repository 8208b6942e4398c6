"""Keys: what is appended under one is appended once, and everybody who asks hears where."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from act_fast.errors import ConcurrencyError, ConditionError, KeyReusedError, ValidationError
from act_fast.stores.append_condition import Condition, Query
from act_fast.stores.port import Store
from act_fast.stores.values import Append, NewEvent
from act_fast.testing.conformance.cases import Cases, OpenStore, pair, pairs, positions

__all__ = ["Once"]

_KEY_BYTES_MAX = 508


def _tagged(number: int, *tags: str) -> tuple[str, bytes, Sequence[str]]:
    return (*pair(number), tags)


class Once(Cases):
    """What appends under keys are like."""

    @pytest.fixture
    def key_store(self, open_store: OpenStore) -> Store:
        """A store that keeps keys."""
        self.needs("keys")
        return open_store()

    def test_the_same_append_under_a_key_is_done_once_and_answered_alike(self, key_store: Store) -> None:
        first = key_store.append("a", pairs(2), key="k")
        key_store.append("a", pairs(1, 3))
        assert key_store.append("a", pairs(2), key="k") == first
        assert (first.first_version, first.last_version, first.first_position, first.last_position) == (1, 2, 1, 2)
        assert key_store.head == 3

    def test_a_repetition_is_answered_although_the_stream_has_moved_on(self, key_store: Store) -> None:
        first = key_store.append("a", pairs(1), expected_version=0, key="k")
        key_store.append("a", pairs(1, 2), expected_version=1)
        assert key_store.append("a", pairs(1), expected_version=0, key="k") == first

    def test_a_repetition_is_answered_although_its_condition_no_longer_holds(self, key_store: Store) -> None:
        none = Condition(Query.of(tags=["email:ada"]))
        event = _tagged(1, "email:ada")
        first = key_store.append("a", [event], condition=none, key="k")
        assert key_store.append("a", [event], condition=none, key="k") == first
        with pytest.raises(ConditionError):
            key_store.append("a", [event], condition=none, key="another")

    @pytest.mark.parametrize("other", ["stream", "name", "data", "tags", "fewer", "more"])
    def test_something_else_under_the_same_key_is_refused(self, key_store: Store, other: str) -> None:
        given: list[NewEvent] = [_tagged(1, "a:1"), pair(2)]
        first = key_store.append("a", given, key="k")
        others: dict[str, tuple[str, list[NewEvent]]] = {
            "stream": ("b", given),
            "name": ("a", [("Other", pair(1)[1], ["a:1"]), pair(2)]),
            "data": ("a", [_tagged(3, "a:1"), pair(2)]),
            "tags": ("a", [_tagged(1, "a:2"), pair(2)]),
            "fewer": ("a", given[:1]),
            "more": ("a", [*given, pair(3)]),
        }
        stream, events = others[other]
        with pytest.raises(KeyReusedError) as refused:
            key_store.append(stream, events, key="k")
        assert (refused.value.key, refused.value.position) == ("k", first.first_position)
        assert key_store.head == 2

    def test_several_appends_under_a_key_are_done_once(self, key_store: Store) -> None:
        key_store.append("b", pairs(1))
        appends = [Append("a", pairs(2)), Append("b", pairs(1, 3)), Append("a", pairs(1, 4))]
        first = key_store.append_many(appends, key="k")
        assert key_store.append_many(appends, key="k") == first
        assert [(each.first_version, each.last_version) for each in first] == [(1, 2), (2, 2), (3, 3)]
        assert key_store.head == 5
        with pytest.raises(KeyReusedError):
            key_store.append_many(appends[:2], key="k")

    def test_what_is_refused_does_not_use_up_its_key(self, key_store: Store) -> None:
        with pytest.raises(ConcurrencyError):
            key_store.append("a", pairs(1), expected_version=1, key="k")
        with pytest.raises(ValidationError):
            key_store.append("a", [("Counted", b"no JSON")], key="k")
        assert key_store.append("a", pairs(1), expected_version=0, key="k").first_position == 1

    def test_keys_are_found_as_tags_and_are_told_from_each_other(self, key_store: Store) -> None:
        key_store.append("a", [_tagged(1, "x:1"), pair(2)], key="k")
        key_store.append("a", pairs(1, 3), key="K")
        key_store.append("a", pairs(1, 4), key="k ")
        assert positions(key_store.query(tags=["key=k"])) == [1]
        assert [event.tags for event in key_store.load("a")] == [("x:1", "key=k"), (), ("key=K",), ("key=k ",)]

    def test_what_cannot_be_a_key_is_refused(self, key_store: Store) -> None:
        for wrong in ("", "x" * (_KEY_BYTES_MAX + 1), "a\nb", "a\0b", "\ud800", 7):
            with pytest.raises(ValidationError):
                key_store.append("a", pairs(1), key=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValidationError):
            key_store.append("a", [_tagged(1, *map(str, range(64)))], key="k")
        with pytest.raises(ValidationError):
            key_store.append("a", [_tagged(1, "key=k")])
        with pytest.raises(ValidationError):
            key_store.append_many([Append("a", [pair(1), _tagged(2, "a:1", "key=k")])])
        assert key_store.head == 0
        for key in ("x" * _KEY_BYTES_MAX, "größe:ü", " ", "key=k"):
            assert key_store.append("a", pairs(1), key=key) == key_store.append("a", pairs(1), key=key)
        key_store.append("a", [_tagged(1, *map(str, range(63)))], key="k")

    def test_keys_last(self, open_store: OpenStore) -> None:
        self.needs("keys")
        self.needs("lasting")
        with open_store() as store:
            first = store.append("a", pairs(2), key="k")
        with open_store() as store:
            assert store.append("a", pairs(2), key="k") == first
            with pytest.raises(KeyReusedError):
                store.append("a", pairs(1), key="k")

    def test_of_many_at_once_one_appends_and_all_hear_where(self, open_store: OpenStore) -> None:
        self.needs("keys")
        store = open_store()
        start = threading.Barrier(8)

        def ask(_: int) -> object:
            start.wait()
            return [store.append(f"s-{turn}", pairs(2), expected_version=0, key=f"k-{turn}") for turn in range(5)]

        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(ask, range(8)))
        assert all(each == found[0] for each in found)
        assert store.head == 10
