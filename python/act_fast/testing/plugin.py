"""The pytest plugin: apps in memory, closed when the test is over."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from act_fast._app.act import Act

__all__ = ["MakeApp", "act_app"]

pytest.register_assert_rewrite("act_fast.testing.conformance")

MakeApp: TypeAlias = Callable[..., Act]
"""Called with components, and with the options of `Act`."""


@pytest.fixture
def act_app() -> Iterator[MakeApp]:
    """A factory of apps on stores in memory, with `debug=True`; `settle` raises what a handler raised.

    def test_deposits_add_up(act_app):
        app = act_app(Account)
    """
    with ExitStack() as apps:

        def make(*components: Any, **options: Any) -> Act:
            app = apps.enter_context(Act("memory:", *components, **{"debug": True, **options}))
            app._program.settle_raises = True
            return app

        yield make
