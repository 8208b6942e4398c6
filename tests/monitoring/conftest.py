"""The shop that tests are given."""

from tests.monitoring.shop import shop

__all__ = ["shop"]
