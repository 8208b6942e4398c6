"""A worker in a process of its own, which waits for events and says how long each was under way.

    python -m bench.stores.reacting_process ADDRESS

For each line that it is given it prints what each event so far took, in ns, as JSON.
"""

import json
import sys
import threading
import time

from act_fast import Act, Committed, LogStore
from act_fast.stores.postgres import PostgresStore
from bench.workloads.bank import Account, Deposited


def opened(address: str) -> LogStore | PostgresStore:
    return PostgresStore(address) if "://" in address else LogStore(address, durability=None, create=False)


def main() -> None:
    took: list[int] = []
    with opened(sys.argv[1]) as store, Act(store, Account) as app:

        @app.on(Deposited, to="latency")
        def heard(event: Committed[Deposited]) -> None:
            took.append(time.monotonic_ns() - event.data.amount)
            print("heard", flush=True)

        worker = threading.Thread(target=app.run)
        worker.start()
        print("ready", flush=True)
        for _ in sys.stdin:
            print(json.dumps(took), flush=True)
        app.stop()
        worker.join()


if __name__ == "__main__":
    main()
