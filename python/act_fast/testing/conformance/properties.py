"""Properties: what holds for any sequence of verbs, tried with random ones by Hypothesis."""

from collections.abc import Callable
from typing import Any

import pytest

from act_fast.testing.conformance.cases import Cases, OpenStore

__all__ = ["Properties"]


class Properties(Cases):
    """Random sequences of verbs, on several handles of a store, which is closed and opened again in between.

    ACT_FAST_EXAMPLES sets how many sequences are tried.
    """

    @pytest.fixture
    def new_store(self) -> Callable[[], OpenStore]:
        """To be overridden where empty stores can be made at will: makes one, and gives what opens it."""
        raise NotImplementedError(f"{type(self).__name__} must have a fixture `new_store`, or lack 'new stores'")

    def test_any_sequence_of_verbs_has_the_answers_of_a_plain_list(self, request: pytest.FixtureRequest) -> None:
        self.needs("new stores")
        pytest.importorskip("hypothesis", reason="properties need Hypothesis, which is not installed")
        from act_fast.testing.conformance.model import StoreAndList, compare_with_list

        new_store: Any = request.getfixturevalue("new_store")
        handles, lasting = 1 if "handles" in self.lacks else 3, "lasting" not in self.lacks
        tags, keys = "tags" not in self.lacks, "keys" not in self.lacks
        compare_with_list(lambda: StoreAndList(new_store, handles, lasting=lasting, tags=tags, keys=keys))
