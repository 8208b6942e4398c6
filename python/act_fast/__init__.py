"""An event-sourcing engine: typed states over a durable log that lives in your process."""

from act_fast._act import Act
from act_fast._action import Action, action
from act_fast._ambient import Ambient
from act_fast._async_act import AsyncAct
from act_fast._backoff import Backoff
from act_fast._cache import CacheInfo
from act_fast._connection import Connection, connect
from act_fast._core import Columns, __version__
from act_fast._correlation import new_correlation
from act_fast._declared import collect, count, distinct, first, last, maximum, minimum, total
from act_fast._declared_record import one_of
from act_fast._event import Event
from act_fast._export import Compression
from act_fast._fold import Unknown
from act_fast._invariant import Invariant, invariant
from act_fast._lane import Lane
from act_fast._log_store import Durability, LogStore, restore_path, verify_path
from act_fast._meta import ActionCause, Actor, Causation, EventCause, Meta
from act_fast._observers import Failure
from act_fast._open import Address
from act_fast._projecting import batch, on
from act_fast._projection import Projection
from act_fast._reducer import Reducer, reducer
from act_fast._slice import Component, Slice
from act_fast._snapshot import Snapshot
from act_fast._sql_projection import SqlProjection
from act_fast._state import State
from act_fast._state_projection import StateProjection
from act_fast._store import (
    Append,
    Appended,
    Backup,
    Committed,
    Exported,
    NewEvent,
    Problem,
    Progress,
    Restored,
    Store,
    StoredSnapshot,
    StoreStats,
    StreamInfo,
    VerifyReport,
)
from act_fast._targets import Cursor, Target
from act_fast._upcast import Upcast, upcast
from act_fast._works import Acked, Blocked, Claimed, Correlation, Drained, Ran, Settled
from act_fast.errors import (
    ActError,
    ConcurrencyError,
    DecodeError,
    DefinitionError,
    FoldError,
    InvariantError,
    NonRetryableError,
    RestoreError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    StoreFailedError,
    StoreFormatError,
    StoreFullError,
    StoreLockedError,
    StreamClosedError,
    ValidationError,
)

__all__ = [
    "Acked",
    "Act",
    "ActError",
    "Action",
    "ActionCause",
    "Actor",
    "Address",
    "Ambient",
    "Append",
    "Appended",
    "AsyncAct",
    "Backoff",
    "Backup",
    "Blocked",
    "CacheInfo",
    "Causation",
    "Claimed",
    "Columns",
    "Committed",
    "Component",
    "Compression",
    "ConcurrencyError",
    "Connection",
    "Correlation",
    "Cursor",
    "DecodeError",
    "DefinitionError",
    "Drained",
    "Durability",
    "Event",
    "EventCause",
    "Exported",
    "Failure",
    "FoldError",
    "Invariant",
    "InvariantError",
    "Lane",
    "LogStore",
    "Meta",
    "NewEvent",
    "NonRetryableError",
    "Problem",
    "Progress",
    "Projection",
    "Ran",
    "Reducer",
    "RestoreError",
    "Restored",
    "Settled",
    "Slice",
    "Snapshot",
    "SqlProjection",
    "State",
    "StateProjection",
    "Store",
    "StoreClosedError",
    "StoreCorruptError",
    "StoreError",
    "StoreFailedError",
    "StoreFormatError",
    "StoreFullError",
    "StoreLockedError",
    "StoreStats",
    "StoredSnapshot",
    "StreamClosedError",
    "StreamInfo",
    "Target",
    "Unknown",
    "Upcast",
    "ValidationError",
    "VerifyReport",
    "__version__",
    "action",
    "batch",
    "collect",
    "connect",
    "count",
    "distinct",
    "first",
    "invariant",
    "last",
    "maximum",
    "minimum",
    "new_correlation",
    "on",
    "one_of",
    "reducer",
    "restore_path",
    "total",
    "upcast",
    "verify_path",
]
