"""An app over HTTP, without a framework: actions, states, histories, and events as they happen."""

from act_fast.serving.access import Access, Authorize, bearer
from act_fast.serving.api import Api, api

__all__ = ["Access", "Api", "Authorize", "api", "bearer"]
