"""The app that tests are given: of accounts, in memory, or on every kind of store that has reactions."""

from tests.support.apps import app_in_memory as app
from tests.support.apps import app_with_reactions

__all__ = ["app", "app_with_reactions"]
