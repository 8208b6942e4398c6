"""The rules of `Store`, as tests that anybody's store can run.

    from act_fast.testing.conformance import OpenStore, StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def open_store(self, tmp_path):
            with ExitStack() as opened:
                yield lambda: opened.enter_context(MyStore(tmp_path / "store"))

`open_store` opens the same empty store each time, as another program would; each test has one of its own. What a store
does not have is named in `lacks`, and the cases that need it are skipped with that reason.
"""

from act_fast.testing.conformance.appending import Appending
from act_fast.testing.conformance.bad_input import BadInput
from act_fast.testing.conformance.cases import Cases, OpenStore
from act_fast.testing.conformance.concurrency import Concurrency
from act_fast.testing.conformance.differential import Difference, Program, differences
from act_fast.testing.conformance.living import Living
from act_fast.testing.conformance.loading import Loading
from act_fast.testing.conformance.once import Once
from act_fast.testing.conformance.properties import Properties
from act_fast.testing.conformance.querying import Querying
from act_fast.testing.conformance.reactions import Reactions, reaction_differences
from act_fast.testing.conformance.snapshots import Snapshots
from act_fast.testing.conformance.streams import Streams
from act_fast.testing.conformance.tagging import Tagging
from act_fast.testing.conformance.transactions import BeginAppend, Begun, Transactions
from act_fast.testing.conformance.transfers import Transfers
from act_fast.testing.conformance.waiting import Waiting

__all__ = [
    "Appending",
    "BadInput",
    "BeginAppend",
    "Begun",
    "Cases",
    "Concurrency",
    "Difference",
    "Living",
    "Loading",
    "Once",
    "OpenStore",
    "Program",
    "Properties",
    "Querying",
    "Reactions",
    "Snapshots",
    "StoreConformance",
    "Streams",
    "Tagging",
    "Transactions",
    "Transfers",
    "Waiting",
    "differences",
    "reaction_differences",
]


class StoreConformance(
    Appending,
    Loading,
    Querying,
    Streams,
    Snapshots,
    Tagging,
    Once,
    Waiting,
    Concurrency,
    Living,
    BadInput,
    Transactions,
    Transfers,
    Properties,
    Reactions,
):
    """All groups of cases. One alone will do, too: each is a class of its own."""
