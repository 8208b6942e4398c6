"""Whoever comes too late is answered alike, whether a stream or a condition was in the way."""

from act_fast import ConcurrencyError, ConditionError
from act_fast.serving.problems import refusal_of


def test_a_condition_that_does_not_hold_is_a_conflict() -> None:
    for error in (ConditionError(3, 5), ConcurrencyError("a", 1, 2)):
        found = refusal_of(error, False, {})
        assert found is not None
        assert found.status == 409
