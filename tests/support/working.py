"""An app at work on a thread of its own."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from act_fast import Act, Ran

PATIENCE_SECONDS = 60.0


class Working:
    """A thread that runs an app. What it comes to is there after the block."""

    def __init__(self, app: Act, lanes: Sequence[str] | None, concurrency: int, grace: float) -> None:
        self.ran: Ran | None = None
        self.error: BaseException | None = None
        self._app = app
        self._thread = threading.Thread(target=self._run, args=(lanes, concurrency, grace), daemon=True)
        self._thread.start()

    def _run(self, lanes: Sequence[str] | None, concurrency: int, grace: float) -> None:
        try:
            self.ran = self._app.run(lanes=lanes, concurrency=concurrency, grace=grace)
        except BaseException as error:
            self.error = error

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def end(self) -> None:
        """Wait for its end."""
        self._thread.join(PATIENCE_SECONDS)
        assert not self.running, "the worker does not end"


@contextmanager
def working(
    app: Act, *, lanes: Sequence[str] | None = None, concurrency: int = 8, grace: float = 10.0
) -> Iterator[Working]:
    """The app runs inside the block, and is stopped at its end."""
    worker = Working(app, lanes, concurrency, grace)
    try:
        yield worker
    finally:
        while worker.running:
            app.stop()
            worker._thread.join(0.1)
    if worker.error is not None:
        raise worker.error
