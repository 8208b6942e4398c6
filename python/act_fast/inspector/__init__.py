"""The inspector: a store, its reactions and its app in a browser. Needs `act-fast[inspect]`."""

from act_fast.inspector.mounted import Payload, inspector

__all__ = ["Payload", "inspector"]
