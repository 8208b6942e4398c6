"""How much work a round is: everything in a few minutes by default, smaller or larger by environment variable.

ACT_FAST_BENCH_SCALE   multiplies the work of a round (1.0)
ACT_FAST_BENCH_ROUNDS  measured rounds of each row, after one that is thrown away (7)
ACT_FAST_BENCH_EVENTS  events in the store that is opened (10_000_000)
ACT_FAST_BENCH_GROWTH  events in the largest store of the growth curve (as many; 50_000_000 takes minutes more)
ACT_FAST_BENCH_DIR     where the data goes while it is measured; must not be a tmpfs (target/ of the checkout)
"""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["QUICK", "Sizes", "sizes_from_environment"]

CHECKOUT = Path(__file__).resolve().parents[2]

QUICK = {"ACT_FAST_BENCH_SCALE": "0.1", "ACT_FAST_BENCH_ROUNDS": "3", "ACT_FAST_BENCH_EVENTS": "500_000"}
"""What `python -m bench --quick` sets where nothing else is asked for."""


@dataclass(frozen=True)
class Sizes:
    """Counts for one round of each kind of work."""

    rounds: int
    scale: float
    open_events: int
    growth_events: int
    directory: Path

    def scaled(self, count: int, *, at_least: int = 1) -> int:
        """`count` at full scale, so many here."""
        return max(at_least, round(count * self.scale))


def sizes_from_environment() -> Sizes:
    """The sizes asked for by the environment, or the defaults."""
    env = os.environ
    return Sizes(
        rounds=int(env.get("ACT_FAST_BENCH_ROUNDS", "7")),
        scale=float(env.get("ACT_FAST_BENCH_SCALE", "1.0")),
        open_events=int(env.get("ACT_FAST_BENCH_EVENTS", "10_000_000")),
        growth_events=int(env.get("ACT_FAST_BENCH_GROWTH", env.get("ACT_FAST_BENCH_EVENTS", "10_000_000"))),
        directory=Path(env.get("ACT_FAST_BENCH_DIR", CHECKOUT / "target" / "bench")),
    )
