"""Tags, queries by them, and conditions: the specification of dynamic consistency boundaries, case by case."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from act_fast.errors import ConcurrencyError, ConditionError, ConflictError, ValidationError
from act_fast.stores.append_condition import Condition, Query, QueryItem
from act_fast.stores.port import Store
from act_fast.stores.values import Append
from act_fast.testing.conformance.cases import Cases, OpenStore, pair, pairs, positions

__all__ = ["Tagging"]

_TAGS = ("course:maths", "course:physics", "student:ada", "student:größe")
_NAMES = ("Defined", "Enrolled", "Left")
_STEPS = 60


def _tagged(number: int, *tags: str, name: str = "Counted") -> tuple[str, bytes, Sequence[str]]:
    return (*pair(number, name), tags)


class Tagging(Cases):
    """What events with tags, and appends with conditions, are like."""

    @pytest.fixture
    def tag_store(self, open_store: OpenStore) -> Store:
        """A store that keeps tags."""
        self.needs("tags")
        return open_store()

    # Tags.

    def test_an_event_carries_its_tags_in_the_order_given_and_each_once(self, tag_store: Store) -> None:
        tag_store.append("a", [_tagged(1, "b:2", "a:1", "b:2"), pair(2), _tagged(3)])
        assert [event.tags for event in tag_store.load("a")] == [("b:2", "a:1"), (), ()]
        assert [event.tags for event in tag_store.query()] == [("b:2", "a:1"), (), ()]

    def test_a_tag_is_text_like_the_name_of_a_stream(self, tag_store: Store) -> None:
        tags = ["x" * 512, "größe:ü", " ", "a:b:c", "a", "A"]
        tag_store.append("a", [_tagged(1, *tags)])
        assert next(tag_store.load("a")).tags == tuple(tags)
        for wrong in ("", "x" * 513, "a\nb", "a\0b", "\ud800"):
            with pytest.raises(ValidationError):
                tag_store.append("a", [_tagged(2, wrong)])
            with pytest.raises(ValidationError):
                list(tag_store.query(tags=[wrong]))
        with pytest.raises(ValidationError):
            tag_store.append("a", [_tagged(2, *map(str, range(65)))])
        with pytest.raises(ValidationError):
            tag_store.append("a", [("Counted", b"1", "course:maths")])
        tag_store.append("a", [_tagged(2, *map(str, range(64)))], expected_version=1)

    def test_a_tag_is_neither_a_stream_nor_a_name(self, tag_store: Store) -> None:
        tag_store.append("same", [("same", b"1", ["same"]), ("same", b"2")])
        tag_store.append("other", [("other", b"3", ["same"])])
        assert positions(tag_store.query(tags=["same"])) == [1, 3]
        assert positions(tag_store.query(stream="same")) == [1, 2]
        assert positions(tag_store.query(names=["same"])) == [1, 2]
        assert [info.stream for info in tag_store.streams()] == ["same", "other"]
        assert tag_store.names() == {"same": 2, "other": 1}

    # Queries.

    def test_tags_are_and_ed_names_are_or_ed_and_both_hold(self, tag_store: Store) -> None:
        tag_store.append("a", [_tagged(1, "x", "y", name="A"), _tagged(2, "x", name="B"), _tagged(3, "y", name="A")])
        tag_store.append("b", [_tagged(4, "x", "y", "z", name="C"), pair(5, "A")])
        assert positions(tag_store.query(tags=["x"])) == [1, 2, 4]
        assert positions(tag_store.query(tags=["x", "y"])) == [1, 4]
        assert positions(tag_store.query(tags=["y", "x"], names=["A", "B"])) == [1]
        assert positions(tag_store.query(tags=["x"], stream="a")) == [1, 2]
        assert positions(tag_store.query(tags=["x"], after=1, before=4)) == [2]
        assert positions(tag_store.query(tags=["x"], backwards=True, limit=2)) == [4, 2]
        assert positions(tag_store.query(tags=["nobody's"])) == []
        assert positions(tag_store.query(tags=["x", "nobody's"])) == []
        assert positions(tag_store.query(tags=[])) == [1, 2, 3, 4, 5]

    def test_what_is_rarer_than_a_stream_is_found_in_that_stream_only(self, tag_store: Store) -> None:
        for stream in ("a", "b"):
            tag_store.append(stream, [*pairs(5), _tagged(6, "rare", name="Rare"), *pairs(5)])
        assert positions(tag_store.query(stream="b", tags=["rare"])) == [17]
        assert positions(tag_store.query(stream="b", names=["Rare"], backwards=True)) == [17]
        assert positions(tag_store.query(stream="b", matching=Query.of(tags=["rare"]))) == [17]
        assert positions(tag_store.query(stream="none", tags=["rare"])) == []
        assert positions(tag_store.query(pattern="^a", tags=["rare"])) == [6]

    def test_items_are_or_ed_and_an_event_comes_once(self, tag_store: Store) -> None:
        tag_store.append("a", [_tagged(1, "x", "y", name="A"), _tagged(2, "x", name="B"), _tagged(3, "y", name="A")])
        either = Query.of(tags=["x"]) | Query.of(tags=["y"])
        assert positions(tag_store.query(matching=either)) == [1, 2, 3]
        assert positions(tag_store.query(matching=either, names=["A"])) == [1, 3]
        assert positions(tag_store.query(matching=either, backwards=True)) == [3, 2, 1]
        assert positions(tag_store.query(matching=Query.of(names=["B"]) | Query.of(names=["A"], tags=["x"]))) == [1, 2]
        assert positions(tag_store.query(matching=Query.of(names=["nobody's"]) | Query.of(tags=["none"]))) == []
        assert positions(tag_store.query(matching=Query.all())) == [1, 2, 3]

    def test_many_events_of_many_tags_are_found_page_by_page(self, tag_store: Store) -> None:
        for batch in range(10):
            numbers = range(batch * 300, batch * 300 + 300)
            tag_store.append(f"s-{batch % 3}", [_tagged(n, f"third:{n % 3}", f"seventh:{n % 7}") for n in numbers])
        assert positions(tag_store.query(tags=["third:1"])) == [n + 1 for n in range(3000) if n % 3 == 1]
        both = tag_store.query(tags=["third:1", "seventh:3"], backwards=True)
        assert positions(both) == [n + 1 for n in range(2999, -1, -1) if n % 3 == 1 and n % 7 == 3]

    # Conditions.

    @pytest.mark.parametrize(
        ("query", "newest"),
        [
            (Query.all(), 5),
            (Query.of(tags=["x"]), 4),
            (Query.of(tags=["y"]), 3),
            (Query.of(tags=["x", "y"]), 1),
            (Query.of(names=["A"]), 5),
            (Query.of(names=["A", "B"]), 5),
            (Query.of(names=["B"]), 2),
            (Query.of(names=["A", "B"], tags=["x"]), 2),
            (Query.of(names=["A"], tags=["x"]), 1),
            (Query.of(names=["C"], tags=["y"]), 0),
            (Query.of(tags=["x", "none"]), 0),
            (Query.of(tags=["none"]), 0),
            (Query.of(names=["None"]), 0),
            (Query.of(tags=["none"]) | Query.of(names=["B"]), 2),
            (Query.of(names=["B"]) | Query.of(tags=["y"]), 3),
        ],
    )
    def test_an_append_fails_if_anything_matches_behind_a_position(
        self, tag_store: Store, query: Query, newest: int
    ) -> None:
        tag_store.append("a", [_tagged(1, "x", "y", name="A"), _tagged(2, "x", name="B"), _tagged(3, "y", name="A")])
        tag_store.append("b", [_tagged(4, "x", name="C"), pair(5, "A")])
        for after in range(7):
            if newest > after:
                with pytest.raises(ConditionError) as caught:
                    tag_store.append("c", pairs(1), condition=Condition(query, after))
                assert (caught.value.after, caught.value.position) == (after, newest)
                assert isinstance(caught.value, ConflictError)
        assert (tag_store.head, tag_store.version("c")) == (5, 0)
        tag_store.append("c", [("Last", b"1")], condition=Condition(query, newest))
        assert tag_store.version("c") == 1

    def test_the_events_of_the_commit_itself_are_not_in_its_way(self, tag_store: Store) -> None:
        unique = Condition(Query.of(tags=["email:ada"]))
        tag_store.append("a", [_tagged(1, "email:ada"), _tagged(2, "email:ada")], condition=unique)
        with pytest.raises(ConditionError):
            tag_store.append("a", [_tagged(3, "email:ada")], condition=unique)
        assert tag_store.head == 2

    def test_conditions_and_expected_versions_hold_together_or_nothing_is_written(self, tag_store: Store) -> None:
        tag_store.append("a", [_tagged(1, "x")])
        tag_store.append("b", pairs(2))
        free, taken = Condition(Query.of(tags=["y"])), Condition(Query.of(tags=["x"]))
        with pytest.raises(ConditionError):
            tag_store.append_many([Append("a", pairs(1), 1, free), Append("b", pairs(1), 2, taken)])
        with pytest.raises(ConditionError):
            tag_store.append_many([Append("a", pairs(1), 1), Append("b", pairs(1), 2)], condition=taken)
        with pytest.raises(ConcurrencyError):
            tag_store.append_many([Append("a", pairs(1), 1, free), Append("b", pairs(1), 1)])
        with pytest.raises(ConcurrencyError):
            tag_store.append("a", pairs(1), expected_version=0, condition=free)
        with pytest.raises(ConditionError):
            tag_store.append("a", pairs(1), expected_version=1, condition=taken)
        assert tag_store.head == 3
        appended = tag_store.append_many(
            [Append("a", pairs(1), 1, free), Append("b", pairs(1), 2, free)], condition=free
        )
        assert [each.last_version for each in appended] == [2, 3]

    def test_a_version_may_be_expected_of_a_stream_that_is_not_written_to(self, tag_store: Store) -> None:
        tag_store.append("rates", pairs(3))
        for wrong in ({"rates": 2}, {"rates": 3, "none": 1}, {"rates": 0}):
            with pytest.raises(ConcurrencyError) as caught:
                tag_store.append_many([Append("a", pairs(1))], expected_versions=wrong)
            assert (caught.value.stream, caught.value.actual) in {("rates", 3), ("none", 0)}
        tag_store.append_many([Append("a", pairs(1))], expected_versions={"rates": 3, "none": 0, "a": 0})
        assert (tag_store.version("a"), tag_store.version("rates")) == (1, 3)

    def test_what_is_no_condition_is_refused(self, tag_store: Store) -> None:
        for wrong in (
            Condition(Query(())),
            Condition(Query.of(tags=[""])),
            Condition(Query.of(names=["a\nb"])),
            Condition(Query.of(tags=["x"]), -1),
            Condition(Query.of(tags="x")),
            Condition(Query((QueryItem(tags=[7]),))),  # type: ignore[list-item]
            Query.of(tags=["x"]),
        ):
            with pytest.raises(ValidationError):
                tag_store.append("a", pairs(1), condition=wrong)  # type: ignore[arg-type]
        assert tag_store.head == 0

    def test_a_query_is_refused_for_what_a_condition_is(self, tag_store: Store) -> None:
        tag_store.append("a", [_tagged(1, "x")])
        for wrong in (["x", "x"], ["x", ""], [str(number) for number in range(65)]):
            with pytest.raises(ValidationError):
                list(tag_store.query(tags=wrong))
            with pytest.raises(ValidationError):
                list(tag_store.query(matching=Query.of(tags=["x"]) | Query.of(tags=wrong)))

    def test_what_was_in_the_way_can_be_read_at_once(self, tag_store: Store, open_store: OpenStore) -> None:
        other = tag_store if "handles" in self.lacks else open_store()
        other.append("a", [_tagged(1, "x")])
        with pytest.raises(ConditionError) as caught:
            tag_store.append("b", pairs(1), condition=Condition(Query.of(tags=["x"])))
        assert positions(tag_store.query(tags=["x"])) == [caught.value.position]

    def test_of_many_that_decide_on_one_boundary_exactly_one_wins(
        self, tag_store: Store, open_store: OpenStore
    ) -> None:
        stores = [tag_store] if "handles" in self.lacks else [tag_store, open_store(), open_store()]
        rounds, threads = 5, 8
        barrier = threading.Barrier(threads)

        def compete(number: int) -> list[bool]:
            won = []
            for turn in range(rounds):
                barrier.wait(60)
                condition = Condition(Query.of(names=["Enrolled"], tags=[f"course:{turn}"]))
                events = [_tagged(number, f"course:{turn}", f"student:{number}", name="Enrolled")]
                try:
                    stores[number % len(stores)].append(f"enrolment-{number}", events, condition=condition)
                except ConditionError:
                    won.append(False)
                else:
                    won.append(True)
            return won

        with ThreadPoolExecutor(threads) as pool:
            outcomes = list(pool.map(compete, range(threads)))
        assert [sum(each[turn] for each in outcomes) for turn in range(rounds)] == [1] * rounds
        assert tag_store.head == rounds

    def test_disjoint_boundaries_never_conflict(self, tag_store: Store, open_store: OpenStore) -> None:
        stores = [tag_store] if "handles" in self.lacks else [tag_store, open_store()]
        threads, turns = 6, 10

        def decide(number: int) -> None:
            mine, after = Query.of(tags=[f"seat:{number}"]), 0
            for turn in range(turns):
                events = [_tagged(turn, f"seat:{number}")]
                after = (
                    stores[number % len(stores)].append("seats", events, condition=Condition(mine, after)).last_position
                )

        with ThreadPoolExecutor(threads) as pool:
            for each in [pool.submit(decide, number) for number in range(threads)]:
                each.result(60)
        assert tag_store.version("seats") == threads * turns

    def test_any_history_is_as_a_plain_list_has_it(self, tag_store: Store, dice: random.Random) -> None:
        kept: list[tuple[str, str, tuple[str, ...]]] = []

        def some(of: Sequence[str], most: int) -> list[str]:
            return dice.sample(of, dice.randint(0, most))

        for _ in range(_STEPS):
            query = Query([QueryItem(some(_NAMES, 2), some(_TAGS, 2)) for _ in range(dice.randint(1, 3))])
            after = dice.randint(0, len(kept) + 1)
            found = [at for at, each in enumerate(kept, 1) if at > after and _matches(query, each)]
            assert positions(tag_store.query(matching=query, after=after)) == found
            stream, name, tags = dice.choice("abc"), dice.choice(_NAMES), tuple(some(_TAGS, 3))
            event = (name, b"1", tags)
            if dice.random() < 0.3:
                tag_store.append(stream, [event])
            elif found:
                with pytest.raises(ConditionError) as caught:
                    tag_store.append(stream, [event], condition=Condition(query, after))
                assert caught.value.position == found[-1]
                continue
            else:
                tag_store.append(stream, [event], condition=Condition(query, after))
            kept.append((stream, name, tags))
        assert [(event.stream, event.name, event.tags) for event in tag_store.query()] == kept


def _matches(query: Query, event: tuple[str, str, tuple[str, ...]]) -> bool:
    _, name, tags = event
    return any((not item.names or name in item.names) and set(item.tags) <= set(tags) for item in query.items)
