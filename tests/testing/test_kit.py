"""The kit itself: no case hides another, and a store's own mistakes are found."""

from collections import Counter

from act_fast.testing.conformance import StoreConformance


def test_no_group_hides_a_case_or_a_fixture_of_another() -> None:
    bases = [base for base in StoreConformance.__mro__[1:-1] if base.__name__ != "Cases"]
    names = Counter(name for base in bases for name in vars(base) if not name.startswith("_"))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 100
