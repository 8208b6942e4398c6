"""The kit itself: no case hides another, and a store's own mistakes are found."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, settings

from act_fast import LogStore
from act_fast.testing.conformance import StoreConformance
from act_fast.testing.conformance.model import StoreAndList, compare_with_list


@pytest.fixture
def first_fault_is_enough() -> Iterator[None]:
    """Hypothesis does not look for the shortest sequence that shows a fault."""
    before = settings.get_current_profile_name()
    settings.register_profile("first fault", settings.default, phases=[Phase.generate])
    settings.load_profile("first fault")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("first_fault_is_enough")
def test_a_store_that_is_wrong_now_and_then_is_told_from_a_plain_list() -> None:
    class Forgetful(LogStore):
        def version(self, stream: str) -> int:
            return min(super().version(stream), 3)

    with pytest.raises(AssertionError):
        compare_with_list(lambda: StoreAndList(lambda: Forgetful.memory, handles=1, lasting=False), examples=100)


@pytest.mark.usefixtures("first_fault_is_enough")
@pytest.mark.parametrize("dropped", ["condition", "key", "tags"])
def test_a_store_that_drops_what_it_was_given_is_told_from_a_plain_list(dropped: str) -> None:
    class Careless(LogStore):
        def append_many(self, appends: Any, **more: Any) -> Any:
            return super().append_many(appends, **{**more, **({dropped: None} if dropped in more else {})})

        def query(self, **conditions: Any) -> Any:
            return super().query(**{**conditions, **({"tags": None} if dropped == "tags" else {})})

    with pytest.raises((AssertionError, pytest.fail.Exception, ExceptionGroup)):
        compare_with_list(lambda: StoreAndList(lambda: Careless.memory, handles=1, lasting=False), examples=100)


def test_no_group_hides_a_case_or_a_fixture_of_another() -> None:
    bases = [base for base in StoreConformance.__mro__[1:-1] if base.__name__ != "Cases"]
    names = Counter(name for base in bases for name in vars(base) if not name.startswith("_"))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 100
