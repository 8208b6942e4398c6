"""A process that asks one store about every event, and tells how much memory it needed at most, in MiB."""

import resource
import sys

from act_fast import Act, LogStore
from bench.stores.settled import written_down
from bench.workloads.ledger import ReducedAccount


def main() -> None:
    with LogStore(sys.argv[1], durability=None) as store, Act(store, ReducedAccount) as app:
        app.sql("select sum(amount) from deposited").fetchall()
        app.sql("select sum(length(data::varchar)) from events").fetchall()
        written_down(store, "deposited", "events")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
