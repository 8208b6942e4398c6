"""Planted faults: each drops one safeguard, and names the tests that have to notice it."""
