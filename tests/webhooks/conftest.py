"""A receiver, and a shop that has something to tell it."""

from collections.abc import Iterator

import pytest

from tests.webhooks.receiver import Receiver
from tests.webhooks.shop import Shop


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.close()


@pytest.fixture
def shop(receiver: Receiver) -> Iterator[Shop]:
    opened = Shop(receiver)
    yield opened
    opened.app.close()
