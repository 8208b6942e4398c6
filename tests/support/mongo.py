"""A server that speaks MongoDB's protocol, for tests: FerretDB over SQLite, built once by Go and kept."""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.java import kept
from tests.support.servers import START_SECONDS, Unavailable, die_with_parent, free_port

_BUILD_SECONDS = 1200.0
_MODULE = "module mongo-for-tests\n\ngo 1.22\n\nrequire github.com/FerretDB/FerretDB v1.24.2\n"
_PROGRAM = """package main

import (
	"context"
	"log"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: os.Args[1]},
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Args[2] + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
"""


@contextmanager
def mongo_server() -> Iterator[int]:
    """A server that keeps nothing yet, for as long as the block lasts; the port where it listens, on 127.0.0.1.

    Raises:
        Unavailable: there is none to be had, and why.
    """
    if importlib.util.find_spec("pymongo") is None:
        raise Unavailable("pymongo is not installed; pip install --group dev brings it")
    program, port = _program(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="act-fast-mongo-"))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [program, f"127.0.0.1:{port}", folder], stdout=log, stderr=log, cwd=folder, preexec_fn=die_with_parent
        )
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"FerretDB does not start: {(folder / 'log').read_text()[-1000:]}")
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    try:
        with MongoClient(port=port, serverSelectionTimeoutMS=500) as client:  # type: ignore[var-annotated]
            client.admin.command("ping")
        return True
    except PyMongoError:
        return False


def _program() -> Path:
    """The server, built when it was not yet."""
    if shutil.which("go") is None:
        raise Unavailable("there is no server that speaks MongoDB's protocol: to build one needs go")
    program = kept() / "mongo" / "mongo-for-tests"
    program.parent.mkdir(exist_ok=True)
    with open(f"{program}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            (program.parent / "go.mod").write_text(_MODULE)
            (program.parent / "main.go").write_text(_PROGRAM)
            ended = subprocess.run(
                ["go", "build", "-o", program, "."],
                capture_output=True,
                text=True,
                cwd=program.parent,
                env={**os.environ, "GOFLAGS": "-mod=mod"},
                timeout=_BUILD_SECONDS,
            )
            if ended.returncode:
                raise Unavailable(f"FerretDB cannot be built: {ended.stderr.strip()[-500:]}")
    return program
