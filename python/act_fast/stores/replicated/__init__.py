"""The store on several machines: an ordered log of proposals, and a replica of what they came to on each machine."""

from act_fast.stores.replicated.checkpoint import Checkpoint
from act_fast.stores.replicated.membership import Worker
from act_fast.stores.replicated.opening import SetAside
from act_fast.stores.replicated.proposer import Proposed
from act_fast.stores.replicated.state import Member
from act_fast.stores.replicated.store import ReplicatedStore

__all__ = ["Checkpoint", "Member", "Proposed", "ReplicatedStore", "SetAside", "Worker"]
