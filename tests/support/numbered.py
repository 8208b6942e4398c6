"""Events that carry their own number, so that a test can tell which ones it got: those of the conformance kit."""

from act_fast.testing.conformance.cases import Pair, numbers, pair, pairs, positions, versions

__all__ = ["Pair", "numbers", "pair", "pairs", "positions", "versions"]
