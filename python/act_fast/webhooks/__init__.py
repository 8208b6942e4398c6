"""Webhooks: events sent to other services, signed, in order and until they arrive; and what receives them."""

from act_fast.webhooks.receiving import Received, verify_webhook
from act_fast.webhooks.sending import Webhook
from act_fast.webhooks.signing import Secret

__all__ = ["Received", "Secret", "Webhook", "verify_webhook"]
