"""The app that tests are given: of accounts, on every kind of store."""

from tests.support.apps import app_on_any_store
from tests.support.apps import app_on_any_store as app

__all__ = ["app", "app_on_any_store"]
