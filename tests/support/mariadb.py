"""A MariaDB server for tests: from the system, or unpacked from Debian's packages without installing them.

The packages are brought once, into the virtual environment, by anybody who may run apt-get.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian import apt_options, call
from tests.support.servers import START_SECONDS, Unavailable, die_with_parent, free_port, run, unprivileged

_PACKAGES = ["mariadb-server-core", "mariadb-client-core"]
_WHAT = "MariaDB server"
_TABLE_KEPT_SECONDS = 0.15
_UNPACKED = Path(sys.prefix) / "mariadb"


@dataclass(frozen=True)
class Programs:
    """Where the programs are.

    Attributes:
        base: the folder with `bin`, `sbin` and `share`.
        libraries: where the libraries are that the system lacks; empty when it lacks none.
    """

    base: Path
    libraries: str = ""

    @property
    def server(self) -> Path:
        return self.base / "sbin" / "mariadbd"

    @property
    def variables(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": self.libraries} if self.libraries else {}


class MariaDbServer:
    """A MariaDB server of our own.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path, programs: Programs, account: dict[str, object]) -> None:
        self.port = free_port()
        self._folder = folder
        self._programs = programs
        self._account = account
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, object] = {
            "datadir": folder / "data", "port": self.port, "bind-address": "127.0.0.1", "socket": folder / "socket",
            "pid-file": folder / "pid", "skip-log-bin": "", "innodb-flush-log-at-trx-commit": 0, "max-connections": 300,
            "innodb-buffer-pool-size": "64M", "innodb-log-file-size": "32M", "skip-name-resolve": "",
            "performance-schema": "off",
        }  # fmt: skip

    def url(self, database: str = "test", **options: str) -> str:
        """The address of a database."""
        query = "&".join(f"{key}={value}" for key, value in options.items())
        return f"mysql://root@127.0.0.1:{self.port}/{database}{f'?{query}' if query else ''}"

    def new_database(self) -> str:
        """Make an empty database; its name."""
        self._databases += 1
        name = f"database_{self._databases}"
        self.ask(f"create database {name}")
        return name

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as an administrator; its rows."""
        import pymysql

        with pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", autocommit=True, ssl_disabled=True
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return [*cursor.fetchall()]

    def in_transactions(self, *, waiting: bool = False) -> list[object]:
        """The sessions that are in a transaction; with `waiting`, those of them that wait for a lock.

        The server makes this table anew only when nobody has asked for a moment: who asks more often sees an old one.
        """
        time.sleep(_TABLE_KEPT_SECONDS)
        which = "where trx_state = 'LOCK WAIT'" if waiting else ""
        found = self.ask(f"select trx_mysql_thread_id from information_schema.innodb_trx {which}")
        return [session for (session,) in found]

    def start(self, **settings: object) -> None:
        """Start it, with settings besides its own, and return once it answers."""
        import pymysql

        given = {**self._settings, **settings}
        flags = [f"--{key}" if value == "" else f"--{key}={value}" for key, value in given.items()]
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [self._programs.server, "--no-defaults", f"--basedir={self._programs.base}", *flags],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={
                    **os.environ,
                    "HOME": str(self._folder),
                    "LC_ALL": "C",
                    **_variables(self._programs, self._folder),
                },
                preexec_fn=die_with_parent,
                **self._account,  # type: ignore[arg-type]
            )
        end = time.monotonic() + START_SECONDS
        while True:
            with suppress(pymysql.Error):
                self.ask("create database if not exists test")
                return
            if self._process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"MariaDB does not start: {self.log()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it: SIGTERM in good order, SIGKILL is a crash."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(START_SECONDS)

    def restart(self, *, crash: bool = False) -> None:
        """Stop it, as after a crash or in good order, and start it again at the same port."""
        self.stop(signal.SIGKILL if crash else signal.SIGTERM)
        self.start()

    def log(self) -> str:
        """What it has said."""
        return (self._folder / "server.log").read_text(errors="replace")


@contextmanager
def mariadb_server(*, flushing: bool = False) -> Iterator[MariaDbServer]:
    """A server with an empty database `test`, for as long as the block lasts.

    Args:
        flushing: whether a commit would survive a power cut, which no test can tell, and which takes longer.

    Raises:
        Unavailable: there is none to be had, and why.
    """
    try:
        import pymysql  # noqa: F401
    except ImportError:
        raise Unavailable("PyMySQL is not installed; pip install --group dev brings it") from None
    programs, account = _programs(), unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="act-fast-mariadb-"))
    try:
        if account:
            os.chown(folder, account["user"], account["group"])  # type: ignore[arg-type]
            programs = _readable_by(account, programs, folder)
        (folder / "server.log").touch()
        install = [programs.base / "bin" / "mariadb-install-db", "--no-defaults", f"--basedir={programs.base}"]
        flags = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        run([*install, f"--datadir={folder / 'data'}", *flags], account, folder, **_variables(programs, folder))
        server = MariaDbServer(folder, programs, account)
        server.start(**({"innodb-flush-log-at-trx-commit": 1} if flushing else {}))
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _variables(programs: Programs, folder: Path) -> dict[str, str]:
    """What is to be in its environment. One that starts removes temporary tables of others from the folder for them."""
    return {**programs.variables, "TMPDIR": str(folder), "LC_ALL": "C"}


def _programs() -> Programs:
    """The programs of the system where it has them all, else those of Debian's packages, unpacked."""
    system = Programs(Path("/usr"))
    if system.server.exists() and (system.base / "bin" / "mariadb-install-db").exists():
        return system
    with open(f"{_UNPACKED}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _UNPACKED.exists():
            _bring(_UNPACKED)
    return _unpacked(_UNPACKED)


def _unpacked(folder: Path) -> Programs:
    libraries = [*folder.glob("usr/lib/*-linux-gnu"), *folder.glob("lib/*-linux-gnu")]
    return Programs(folder / "usr", ":".join(map(str, libraries)))


def _bring(target: Path) -> None:
    """Unpack the server, and those of its libraries that the system lacks."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unavailable("there is no MariaDB server; install one (it is brought by itself where there is apt-get)")
    with tempfile.TemporaryDirectory(prefix="mariadb-", dir=target.parent) as work:
        folder = Path(work)
        own = apt_options(folder)
        call(["apt-get", *own, "update"], folder, _WHAT)
        needed = call(["apt-cache", *own, "depends", "--important", *_PACKAGES], folder, _WHAT)
        libraries = [line.split()[-1] for line in needed.splitlines() if line.split()[:1] == ["Depends:"]]
        lacking = {each for each in libraries if each.startswith("lib") and not _installed(each)}
        call(["apt-get", *own, "download", *_PACKAGES, *lacking], folder, _WHAT)
        for package in folder.glob("*.deb"):
            call(["dpkg-deb", "--extract", str(package), str(folder / "unpacked")], folder, _WHAT)
        os.replace(folder / "unpacked", target)


def _installed(package: str) -> bool:
    told = subprocess.run(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", package], capture_output=True)
    return told.stdout.startswith(b"ii")


def _readable_by(account: dict[str, object], programs: Programs, folder: Path) -> Programs:
    """The programs, copied to where that user may run them if it may not where they are."""
    try:
        run([programs.server, "--no-defaults", "--version"], account, folder, **programs.variables)
        return programs
    except (Unavailable, OSError):
        copy = folder / "programs"
        shutil.copytree(programs.base.parent, copy, symlinks=True)
        os.chmod(copy, 0o755)
        return _unpacked(copy)
