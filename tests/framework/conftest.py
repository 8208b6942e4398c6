"""Apps on stores in memory, as the tests of the framework use them."""

from collections.abc import Iterator

import pytest

from act_fast import Act
from tests.framework.bank import Account


@pytest.fixture
def app() -> Iterator[Act]:
    with Act("memory:", Account, debug=True) as app:
        yield app
