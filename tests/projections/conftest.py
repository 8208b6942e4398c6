"""The app that tests are given: of accounts, in memory."""

from tests.support.apps import app_with_reactions as app

__all__ = ["app"]
