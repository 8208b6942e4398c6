"""A process that does one thing and says what it paid for it. Imports nothing of ours before its clock runs.

python -m bench.stores.lone_process import MODULE[:NAME,…]  milliseconds, and the memory of the process
python -m bench.stores.lone_process use PATH           the memory with a store open, in steps
python -m bench.stores.lone_process exchange PATH FOLDER  the memory that each verb takes at its highest
python -m bench.stores.lone_process idle PATH SECONDS  microseconds of processor that an idle worker took
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module


def own_mib() -> float:
    """What this process has to itself, without pages of files."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) / 1024


def import_and_tell(wanted: str) -> dict[str, float]:
    module, _, names = wanted.partition(":")
    started = time.perf_counter()
    imported = import_module(module)
    for name in names.split(","):
        getattr(imported, name or "__name__")
    return {"import_ms": (time.perf_counter() - started) * 1e3, "memory_mib": own_mib()}


def use(path: str) -> dict[str, float]:
    """A store opened, all of it read, ten thousand streams loaded one by one."""
    from act_fast import LogStore

    told = {}
    with LogStore(path, durability="os") as store:
        told["a store open"] = own_mib()
        events = sum(1 for _ in store.query())
        told[f"all of its {events:,} events read"] = own_mib()
        streams = [info.stream for info in store.streams()]
        for stream in streams:
            for _ in store.load(stream):
                pass
        told[f"each of its {len(streams):,} streams loaded"] = own_mib()
    return told


def exchange(path: str, folder: str) -> dict[str, float]:
    """The most memory that each verb takes beyond what the process has with the store open."""
    from act_fast import LogStore

    told = {}
    with LogStore(path, durability="os") as store:
        works = {
            "backup": lambda: store.backup(f"{folder}/backup"),
            "export as JSON lines": lambda: store.export(f"{folder}/events.jsonl"),
            "export to Parquet": lambda: store.export(f"{folder}/events.parquet"),
        }
        for name, work in works.items():
            told[name] = highest_mib(work)
    with LogStore(f"{folder}/restored") as empty:
        told["restore from JSON lines"] = highest_mib(lambda: empty.restore(f"{folder}/events.jsonl"))
        told["restore from Parquet"] = highest_mib(lambda: empty.restore(f"{folder}/events.parquet", replace=True))
    return told


def highest_mib(work: Callable[[], object]) -> float:
    """The most memory that work takes, looked at every few milliseconds."""
    before, over = own_mib(), threading.Event()
    seen = [before]

    def watch() -> None:
        while not over.wait(0.005):
            seen.append(own_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    over.set()
    watcher.join()
    return max(seen) - before


def idle(path: str, seconds: float) -> dict[str, float]:
    from act_fast import Act
    from bench.workloads.bank import Account, Deposited

    with Act(path, Account) as app:

        @app.on(Deposited, to="audit-{stream}")
        def audit(event: object) -> None:
            pass

        app.do(Account.open, "account-1", owner="Ada")
        app.do(Account.deposit, "account-1", amount=5)
        worker = threading.Thread(target=app.run)
        worker.start()
        app.wait_for(app.store.head, "audit-account-1")
        time.sleep(1.5)  # what the first work left to be flushed is flushed by then
        before = time.process_time()
        time.sleep(seconds)
        busy = time.process_time() - before
        app.stop()
        worker.join()
    return {"busy_us": busy * 1e6}


def main() -> None:
    verb, what, *rest = sys.argv[1:]
    if verb == "import":
        told = import_and_tell(what)
    elif verb == "use":
        told = use(what)
    elif verb == "exchange":
        told = exchange(what, rest[0])
    else:
        told = idle(what, float(rest[0]))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
