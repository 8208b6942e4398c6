"""An event-sourcing engine: typed states over a durable log that lives in your process.

Each name is imported when it is first used, so that a program pays only for what it uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from act_fast._app.act import Act
    from act_fast._app.address import Address
    from act_fast._app.async_act import AsyncAct
    from act_fast._app.connect import connect
    from act_fast._app.continuous_view import ContinuousView
    from act_fast._app.decision import Decided, DecisionFunction, decision
    from act_fast._app.forgetting import ForgetReport, Forgetting, SubjectForgotten
    from act_fast._app.moving import move
    from act_fast._app.retiring import Retired
    from act_fast._app.slice import Component, Slice
    from act_fast._core import Appended, Columns, __version__
    from act_fast._declared.functions import collect, count, distinct, first, last, maximum, minimum, total
    from act_fast._declared.recorder import one_of
    from act_fast._events.committed import Committed
    from act_fast._events.context import Ambient
    from act_fast._events.correlation import new_correlation
    from act_fast._events.event import Event
    from act_fast._events.meta import ActionCause, Actor, Causation, EventCause, Meta
    from act_fast._events.personal import FORGOTTEN, Forgotten, Personal, Sealing, Subject
    from act_fast._events.tags import Tag, TagKey
    from act_fast._events.upcast import Upcast, upcast
    from act_fast._loading.cache import CacheInfo
    from act_fast._model.fold import Unknown
    from act_fast._privacy.file_keys import FileKeyStore
    from act_fast._privacy.key_store import KeyRecord, KeyStore, Rotated
    from act_fast._privacy.master_key import LocalMasterKey, MasterKey
    from act_fast._privacy.memory_keys import MemoryKeyStore
    from act_fast._privacy.postgres_keys import PostgresKeyStore
    from act_fast._projections.methods import batch, on
    from act_fast._projections.projection import Projection
    from act_fast._projections.sql_projection import SqlProjection
    from act_fast._projections.state_projection import StateProjection
    from act_fast._reactions.lane import Lane
    from act_fast._reactions.reports import Acked, Blocked, Claimed, Correlation, Drained, Ran, Settled
    from act_fast._reactions.skipped import Skipped
    from act_fast._reactions.targets import Cursor, Target
    from act_fast._rows import Progress
    from act_fast._runtime.backoff import Backoff
    from act_fast._runtime.observers import Failure
    from act_fast._sql.connection import Connection
    from act_fast._states.action import Action, Call, action
    from act_fast._states.invariant import Invariant, invariant
    from act_fast._states.reducer import Reducer, reducer
    from act_fast._states.retire import Retire
    from act_fast._states.snapshot import Snapshot
    from act_fast._states.state import State
    from act_fast._states.view import Seen, View, at
    from act_fast._timers.facts import Ticked
    from act_fast._timers.timer import Timer
    from act_fast.errors import (
        ActError,
        ArchiveUnavailableError,
        ConcurrencyError,
        ConditionError,
        ConflictError,
        DecodeError,
        DefinitionError,
        EngineAwayError,
        EngineError,
        EngineRefusedError,
        FoldError,
        InvariantError,
        KeyMissingError,
        KeyReusedError,
        KeyStoreError,
        MissingExtraError,
        MoveError,
        NonRetryableError,
        NotDurableError,
        OutcomeUnknownError,
        PrunedError,
        RecordTooLargeError,
        RestoreError,
        RetryAfterError,
        SealError,
        StoreClosedError,
        StoreCorruptError,
        StoreError,
        StoreFailedError,
        StoreFormatError,
        StoreFullError,
        StoreLockedError,
        StreamClosedError,
        SubjectForgottenError,
        TrimmedError,
        ValidationError,
        WebhookError,
    )
    from act_fast.stores.append_condition import Condition, Query, QueryItem
    from act_fast.stores.conditions import Conditions
    from act_fast.stores.log.offline import restore_path, verify_path
    from act_fast.stores.log.store import Durability, LogStore
    from act_fast.stores.port import Store
    from act_fast.stores.values import (
        Append,
        Archived,
        Backup,
        Compressed,
        Compression,
        Exported,
        Moved,
        NewEvent,
        Problem,
        Pruned,
        PrunedPart,
        Redacted,
        Restored,
        Share,
        Shares,
        StoredSnapshot,
        StoreStats,
        StreamInfo,
        VerifyReport,
    )

__all__ = [
    "FORGOTTEN",
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
    "ArchiveUnavailableError",
    "Archived",
    "AsyncAct",
    "Backoff",
    "Backup",
    "Blocked",
    "CacheInfo",
    "Call",
    "Causation",
    "Claimed",
    "Columns",
    "Committed",
    "Component",
    "Compressed",
    "Compression",
    "ConcurrencyError",
    "Condition",
    "ConditionError",
    "Conditions",
    "ConflictError",
    "Connection",
    "ContinuousView",
    "Correlation",
    "Cursor",
    "Decided",
    "DecisionFunction",
    "DecodeError",
    "DefinitionError",
    "Drained",
    "Durability",
    "EngineAwayError",
    "EngineError",
    "EngineRefusedError",
    "Event",
    "EventCause",
    "Exported",
    "Failure",
    "FileKeyStore",
    "FoldError",
    "ForgetReport",
    "Forgetting",
    "Forgotten",
    "Invariant",
    "InvariantError",
    "KeyMissingError",
    "KeyRecord",
    "KeyReusedError",
    "KeyStore",
    "KeyStoreError",
    "Lane",
    "LocalMasterKey",
    "LogStore",
    "MasterKey",
    "MemoryKeyStore",
    "Meta",
    "MissingExtraError",
    "MoveError",
    "Moved",
    "NewEvent",
    "NonRetryableError",
    "NotDurableError",
    "OutcomeUnknownError",
    "Personal",
    "PostgresKeyStore",
    "Problem",
    "Progress",
    "Projection",
    "Pruned",
    "PrunedError",
    "PrunedPart",
    "Query",
    "QueryItem",
    "Ran",
    "RecordTooLargeError",
    "Redacted",
    "Reducer",
    "RestoreError",
    "Restored",
    "Retire",
    "Retired",
    "RetryAfterError",
    "Rotated",
    "SealError",
    "Sealing",
    "Seen",
    "Settled",
    "Share",
    "Shares",
    "Skipped",
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
    "Subject",
    "SubjectForgotten",
    "SubjectForgottenError",
    "Tag",
    "TagKey",
    "Target",
    "Ticked",
    "Timer",
    "TrimmedError",
    "Unknown",
    "Upcast",
    "ValidationError",
    "VerifyReport",
    "View",
    "WebhookError",
    "__version__",
    "action",
    "at",
    "batch",
    "collect",
    "connect",
    "count",
    "decision",
    "distinct",
    "first",
    "invariant",
    "last",
    "maximum",
    "minimum",
    "move",
    "new_correlation",
    "on",
    "one_of",
    "reducer",
    "restore_path",
    "total",
    "upcast",
    "verify_path",
]

_HOMES: Final = {
    "act_fast._app.act": ("Act",),
    "act_fast._app.address": ("Address",),
    "act_fast._app.async_act": ("AsyncAct",),
    "act_fast._app.connect": ("connect",),
    "act_fast._app.continuous_view": ("ContinuousView",),
    "act_fast._app.decision": (
        "Decided",
        "DecisionFunction",
        "decision",
    ),
    "act_fast._app.forgetting": (
        "ForgetReport",
        "Forgetting",
        "SubjectForgotten",
    ),
    "act_fast._app.moving": ("move",),
    "act_fast._app.retiring": ("Retired",),
    "act_fast._app.slice": (
        "Component",
        "Slice",
    ),
    "act_fast._core": (
        "Appended",
        "Columns",
        "__version__",
    ),
    "act_fast._declared.functions": (
        "collect",
        "count",
        "distinct",
        "first",
        "last",
        "maximum",
        "minimum",
        "total",
    ),
    "act_fast._declared.recorder": ("one_of",),
    "act_fast._events.committed": ("Committed",),
    "act_fast._events.context": ("Ambient",),
    "act_fast._events.correlation": ("new_correlation",),
    "act_fast._events.event": ("Event",),
    "act_fast._events.meta": (
        "ActionCause",
        "Actor",
        "Causation",
        "EventCause",
        "Meta",
    ),
    "act_fast._events.personal": (
        "FORGOTTEN",
        "Forgotten",
        "Personal",
        "Sealing",
        "Subject",
    ),
    "act_fast._events.tags": (
        "Tag",
        "TagKey",
    ),
    "act_fast._events.upcast": (
        "Upcast",
        "upcast",
    ),
    "act_fast._loading.cache": ("CacheInfo",),
    "act_fast._model.fold": ("Unknown",),
    "act_fast._privacy.file_keys": ("FileKeyStore",),
    "act_fast._privacy.key_store": (
        "KeyRecord",
        "KeyStore",
        "Rotated",
    ),
    "act_fast._privacy.master_key": (
        "LocalMasterKey",
        "MasterKey",
    ),
    "act_fast._privacy.memory_keys": ("MemoryKeyStore",),
    "act_fast._privacy.postgres_keys": ("PostgresKeyStore",),
    "act_fast._projections.methods": (
        "batch",
        "on",
    ),
    "act_fast._projections.projection": ("Projection",),
    "act_fast._projections.sql_projection": ("SqlProjection",),
    "act_fast._projections.state_projection": ("StateProjection",),
    "act_fast._reactions.lane": ("Lane",),
    "act_fast._reactions.reports": (
        "Acked",
        "Blocked",
        "Claimed",
        "Correlation",
        "Drained",
        "Ran",
        "Settled",
    ),
    "act_fast._reactions.skipped": ("Skipped",),
    "act_fast._reactions.targets": (
        "Cursor",
        "Target",
    ),
    "act_fast._rows": ("Progress",),
    "act_fast._runtime.backoff": ("Backoff",),
    "act_fast._runtime.observers": ("Failure",),
    "act_fast._sql.connection": ("Connection",),
    "act_fast._states.action": (
        "Action",
        "Call",
        "action",
    ),
    "act_fast._states.invariant": (
        "Invariant",
        "invariant",
    ),
    "act_fast._states.reducer": (
        "Reducer",
        "reducer",
    ),
    "act_fast._states.retire": ("Retire",),
    "act_fast._states.snapshot": ("Snapshot",),
    "act_fast._states.state": ("State",),
    "act_fast._states.view": (
        "Seen",
        "View",
        "at",
    ),
    "act_fast._timers.facts": ("Ticked",),
    "act_fast._timers.timer": ("Timer",),
    "act_fast.errors": (
        "ActError",
        "ArchiveUnavailableError",
        "ConcurrencyError",
        "ConditionError",
        "ConflictError",
        "DecodeError",
        "DefinitionError",
        "EngineAwayError",
        "EngineError",
        "EngineRefusedError",
        "FoldError",
        "InvariantError",
        "KeyMissingError",
        "KeyReusedError",
        "KeyStoreError",
        "MissingExtraError",
        "MoveError",
        "NonRetryableError",
        "NotDurableError",
        "OutcomeUnknownError",
        "PrunedError",
        "RecordTooLargeError",
        "RestoreError",
        "RetryAfterError",
        "SealError",
        "StoreClosedError",
        "StoreCorruptError",
        "StoreError",
        "StoreFailedError",
        "StoreFormatError",
        "StoreFullError",
        "StoreLockedError",
        "StreamClosedError",
        "SubjectForgottenError",
        "TrimmedError",
        "ValidationError",
        "WebhookError",
    ),
    "act_fast.stores.append_condition": (
        "Condition",
        "Query",
        "QueryItem",
    ),
    "act_fast.stores.conditions": ("Conditions",),
    "act_fast.stores.log.offline": (
        "restore_path",
        "verify_path",
    ),
    "act_fast.stores.log.store": (
        "Durability",
        "LogStore",
    ),
    "act_fast.stores.port": ("Store",),
    "act_fast.stores.values": (
        "Append",
        "Archived",
        "Backup",
        "Compressed",
        "Compression",
        "Exported",
        "Moved",
        "NewEvent",
        "Problem",
        "Pruned",
        "PrunedPart",
        "Redacted",
        "Restored",
        "Share",
        "Shares",
        "StoreStats",
        "StoredSnapshot",
        "StreamInfo",
        "VerifyReport",
    ),
}
"""The names that each module gives."""

_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names}
_MODULES: Final = ("errors", "stores")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(module), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF, *_MODULES})
