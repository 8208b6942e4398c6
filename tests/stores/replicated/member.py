"""A program that runs workers on a replicated store, and keeps a note of each event that it handles.

`python -m tests.stores.replicated.member ADDRESS NOTES`, until it is told to end by SIGTERM. The notes are lines:
`STREAM VERSION TIME`, by the machine's uptime.
"""

import signal
import sys
import threading
import time

from act_fast import Act, Committed, Event, Lane
from tests.stores.replicated.node import Notes

LEASE_SECONDS = 600.0
"""So long that it is never a lease whose end lets others take over."""


class Noted(Event):
    """What happens."""


def main(address: str, path: str) -> None:
    notes = Notes(path)
    with Act(address, lanes=[Lane("default", lease=LEASE_SECONDS)]) as app:

        @app.on(Noted, to="audit-{stream}")
        def audit(event: Committed[Noted]) -> None:
            notes.write(event.stream, event.version, time.monotonic_ns())

        signal.signal(signal.SIGTERM, lambda *_: app.stop())
        worker = threading.Thread(target=app.run)
        worker.start()
        while worker.is_alive():
            worker.join(0.2)  # signals are handled in this thread


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
