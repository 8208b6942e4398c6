"""Inner loops of the Python face, and how many bytecodes one turn of each executes; and what an event takes on disk.

    python python_work.py PACKAGE_FOLDER SCRATCH_FOLDER

prints a JSON object. Counted between a small and a large number of turns, so that what is done once cancels out.
"""

import gc
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

FEW, MANY = 20, 120
STATE_EVENTS = 50
NEEDLE = "select version, name from events where stream = 'account-1'"
DISK_EVENTS = 5_000
BLOCK_BYTES = 1 << 20


def main() -> None:
    package, scratch = sys.argv[1:]
    sys.path.insert(0, package)
    sys.path.insert(1, str(Path(__file__).resolve().parents[2]))
    if sys.platform == "linux":  # on one processor, DuckDB has no threads of its own, which are not traced
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(counts() | disk_bytes(Path(scratch))))


def counts() -> dict[str, float]:
    from act_fast import Act, LogStore
    from bench.workloads.bank import Account, Deposited

    def do(times: int) -> Callable[[], object]:
        app = Act(LogStore.memory(), Account)
        app.do(Account.open, "account-1", owner="Ada")
        return lambda: [app.do(Account.deposit, "account-1", amount=5) for _ in range(times)]

    def load(times: int) -> Callable[[], object]:
        store = LogStore.memory()
        for number in range(times):
            store.append(f"account-{number}", [Deposited(5)] * STATE_EVENTS)
        app = Act(store, Account)
        return lambda: [app.load(Account, f"account-{number}") for number in range(times)]

    def append(times: int) -> Callable[[], object]:
        store = LogStore.memory()
        return lambda: [store.append("account-1", [Deposited(5)], expected_version=i) for i in range(times)]

    def query(times: int) -> Callable[[], object]:
        store = LogStore.memory()
        store.append("account-1", [Deposited(5)] * times)
        return lambda: list(store.query())

    def replay(times: int) -> Callable[[], object]:
        store = LogStore.memory()
        store.append("account-1", [Deposited(5)] * times)
        app = Act(store, Account)
        return lambda: list(app.replay(Account, progress=False))

    def settle(times: int) -> Callable[[], object]:
        app = Act(LogStore.memory(), Account)

        @app.on(Deposited, to="audit")
        def audit(event: object) -> None:
            pass

        app.settle()
        app.store.append("account-1", [Deposited(5)] * times)
        return app.settle

    def settle_each(times: int) -> Callable[[], object]:
        app = Act(LogStore.memory(), Account)

        @app.on(Deposited)
        def audit(event: object) -> None:
            pass

        app.settle()
        for number in range(times):
            app.store.append(f"account-{number}", [Deposited(5)])
        return app.settle

    def ask(times: int) -> Callable[[], object]:
        app = Act(LogStore.memory(), Account)
        app.do(Account.open, "account-1", owner="Ada")
        app.sql(NEEDLE).fetchall()
        return lambda: [app.sql(NEEDLE).fetchall() for _ in range(times)]

    turns = {
        "bytecodes of a do": do,
        f"bytecodes of a load of {STATE_EVENTS} events": load,
        "bytecodes of an append": append,
        "bytecodes of an event queried": query,
        "bytecodes of an event replayed": replay,
        "bytecodes of an event handled": settle,
        "bytecodes of a target with one event handled": settle_each,
        "bytecodes of a SQL question": ask,
    }
    for make in turns.values():
        make(FEW)()  # imports what is imported at its first use
    return {name: (bytecodes(make(MANY)) - bytecodes(make(FEW))) / (MANY - FEW) for name, make in turns.items()}


def bytecodes(work: Callable[[], object]) -> int:
    """How many bytecodes are executed by `work` and the threads that it starts."""
    executed = 0

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal executed
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        executed += event == "opcode"
        return trace

    gc.collect()
    gc.disable()  # what ends with the garbage of an earlier loop is none of this one's
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        gc.enable()
    return executed


def disk_bytes(scratch: Path) -> dict[str, float]:
    """What the files hold up to the zeros that they end in, for each event."""
    from act_fast import LogStore
    from bench.workloads.events import singles

    with LogStore(scratch / "store", durability="os") as store:
        for event in singles(DISK_EVENTS, streams=100):
            store.append(event.stream, [(event.name, event.data)], expected_version=event.expected_version)
    log = [path for path in (scratch / "store").rglob("*") if path.is_file() and "log" in path.parts]
    written = sum(len(path.read_bytes().rstrip(b"\0")) for path in log)
    return {"bytes of the log for an event": written / DISK_EVENTS}


if __name__ == "__main__":
    main()
