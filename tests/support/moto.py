"""A server that speaks the protocols of S3 and DynamoDB, for tests."""

import importlib.util
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.servers import START_SECONDS, Unavailable, die_with_parent, free_port

# Requests are answered one after another: the server looks whether an object is there, and puts it, in two steps.
_PROGRAM = """
import sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

app, alone = DomainDispatcherApplication(create_backend_app), threading.Lock()

def one_at_a_time(environ, start_response):
    with alone:
        return app(environ, start_response)

run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
"""


class MotoServer:
    """A server of our own, which keeps all in memory.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._places = 0

    def new_place(self) -> str:
        """The address of a folder in a bucket of its own."""
        self._places += 1
        bucket = f"bucket-{self._places}"
        self.make_bucket(bucket)
        return f"s3://key:secret@{bucket}/bank?endpoint=http://127.0.0.1:{self.port}&region=us-east-1"

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=START_SECONDS).close()


@contextmanager
def moto_server() -> Iterator[MotoServer]:
    """A server that keeps nothing yet, for as long as the block lasts.

    Raises:
        Unavailable: there is none to be had, and why.
    """
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise Unavailable("moto[server] is not installed; pip install --group dev brings it")
    server = MotoServer()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(server.port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{server.port}/moto-api/", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise Unavailable("moto does not start") from None
                time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait()
