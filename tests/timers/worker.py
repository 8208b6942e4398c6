"""The program of worker processes: timers, and ticks each second, on the store that the environment names."""

import os
from datetime import timedelta

from act_fast import Act, Committed, Lane, Ticked
from tests.timers.orders import Order

__all__ = ["make"]


def make() -> Act:
    """The app, with a short lease, so that those who die are soon replaced."""
    app = Act(os.environ["ACT_FAST_TIMERS"], Order, lanes=[Lane("default", lease=1)])

    @app.every(timedelta(seconds=1))
    def second(tick: Committed[Ticked], app: Act) -> None:
        app.do(Order.expire_anyway, f"tick-{tick.data.due:%H%M%S}", reason=str(os.getpid()))

    return app
