"""An app of accounts, on a store in memory, to which each test adds the reactions it is about."""

from collections.abc import Iterator

import pytest

from act_fast import Act
from tests.framework.bank import Account


@pytest.fixture
def app() -> Iterator[Act]:
    with Act("memory:", Account) as app:
        yield app
