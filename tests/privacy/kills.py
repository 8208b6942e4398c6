"""Kills a process at each step that it takes on the files of a key store, and looks at what is left.

Run as a program of its own, without threads, since it forks: `python -m tests.privacy.kills SCENARIO FOLDER`. A step is
a call that changes a file or makes it safe. The child dies before it, or, where it overwrites, in the middle of it.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from act_fast import FORGOTTEN, Act, FileKeyStore, SubjectForgottenError
from tests.support.people import SECRETS, Person, files_with

STEPS: Final = ("fsync", "link", "replace", "pwrite", "write", "unlink", "mkdir")
STEPS_MAX: Final = 200


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do something in a child that dies at a step; whether it got there. Otherwise it has done all of it."""
    child = os.fork()
    if child == 0:
        _kill_at(step)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert status == 0, f"the child failed at step {step}"
    return False


def _kill_at(step: int) -> None:
    taken = 0

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == step:
                if name == "pwrite" and len(arguments[1]) > 1:
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    for name in STEPS:
        setattr(os, name, counted(name, getattr(os, name)))


def each_step(prepare: Callable[[int], Any], work: Callable[[Any], object], look: Callable[[Any, bool], object]) -> int:
    """Prepare, work in a child that dies at the first step, look; then at the second; until it is done."""
    for step in range(1, STEPS_MAX):
        prepared = prepare(step)
        died = killed_at(step, lambda: work(prepared))  # noqa: B023
        look(prepared, died)
        if not died:
            return step - 1
    raise AssertionError("it never ends")


def making_a_store(folder: Path) -> int:
    def look(path: Path, died: bool) -> None:
        with FileKeyStore(path) as keys:
            made = keys.create("aa", "u-1")
            assert keys.unwrap(made)
        assert path.stat().st_mode & 0o777 == 0o700

    return each_step(lambda step: folder / f"{step}.keys", lambda path: FileKeyStore(path), look)


def making_a_key(folder: Path) -> int:
    def prepare(step: int) -> FileKeyStore:
        return FileKeyStore(folder / f"{step}.keys")

    def work(keys: FileKeyStore) -> None:
        keys.create("aa", "u-1")

    def look(keys: FileKeyStore, died: bool) -> None:
        found = keys.find("aa")
        assert died or found is not None
        secret = None if found is None else keys.unwrap(found)
        again = keys.create("aa", "u-1")
        assert secret in (None, keys.unwrap(again))
        keys.rotate()
        assert not list(Path(keys.path).rglob(".new-*"))
        modes = {path.stat().st_mode & 0o777 for path in Path(keys.path).rglob("*") if path.is_file()}
        assert modes == {0o600}

    return each_step(prepare, work, look)


def destroying_a_key(folder: Path) -> int:
    def prepare(step: int) -> Any:
        keys = FileKeyStore(folder / f"{step}.keys")
        keys.create("bb", "u-2")
        wrapped = keys.create("aa", "u-1").wrapped
        return keys, wrapped, keys.generation(), (Path(keys.path) / "keys" / "aa" / "aa.key").open("rb")

    def work(prepared: Any) -> None:
        prepared[0].destroy("aa", "u-1", "asked")

    def look(prepared: Any, died: bool) -> None:
        keys, wrapped, generation, old = prepared
        found = keys.find("aa")
        assert found is not None
        if found.forgotten is None:
            assert died
            assert keys.unwrap(found)
        left = keys.destroy("aa", "u-1", "asked")
        assert (left.forgotten is not None, left.wrapped) == (True, b"")
        assert keys.generation() != generation
        assert [path for path in Path(keys.path).rglob("*") if path.is_file() and wrapped in path.read_bytes()] == []
        with old:
            assert wrapped not in old.read(), "the key was not overwritten where it lay"
        assert keys.unwrap(keys.find("bb"))

    return each_step(prepare, work, look)


def rotating(folder: Path) -> int:
    names = [f"{number:02}" for number in range(4)]

    def prepare(step: int) -> Any:
        keys = FileKeyStore(folder / f"{step}.keys")
        secrets = {name: keys.unwrap(keys.create(name, name)) for name in names}
        keys.destroy("dd", "gone", "asked")
        path = Path(keys.path) / "master.key"
        return keys, secrets, path.read_bytes(), path.open("rb")

    def work(prepared: Any) -> None:
        prepared[0].rotate()

    def look(prepared: Any, died: bool) -> None:
        keys, secrets, master, old = prepared
        with FileKeyStore(keys.path) as fresh:
            for each in (keys, fresh):
                assert {name: each.unwrap(each.find(name)) for name in names} == secrets
            assert fresh.unwrap(fresh.create("new", "new"))
            done = fresh.rotate()
        assert {name: keys.unwrap(keys.find(name)) for name in names} == secrets
        assert {each.master for each in keys.records()} == {done.master, ""}
        with old:
            assert not old.read().strip(b"\0"), "the old master key was not overwritten where it lay"
        assert [
            path for path in Path(keys.path).rglob("*") if path.is_file() and master.strip() in path.read_bytes()
        ] == []

    return each_step(prepare, work, look)


def forgetting(folder: Path) -> int:
    def opened(path: Path) -> Act:
        return Act(path / "people.act", Person, keys=FileKeyStore(path / "people.keys"))

    def prepare(step: int) -> Path:
        path = folder / str(step)
        path.mkdir()
        child = os.fork()  # so that this process never has a thread of a store
        if child == 0:
            with opened(path) as app:
                app.do(Person.register, "person-1", user="u-1", email="ada@example.org")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        return path

    def work(path: Path) -> None:
        with opened(path) as app:
            app.forget("u-1", reason="asked")

    def look(path: Path, died: bool) -> None:
        child = os.fork()
        if child == 0:
            with opened(path) as app:
                email = app.load(Person, "person-1").state.email
                assert email is FORGOTTEN or (died and email == "ada@example.org")
                report = app.forget("u-1", reason="asked")
                assert report.clean
                assert report.events == 1
                told = [event for event in app.store.query(names=["SubjectForgotten"])]
                assert [event.position for event in told] == [report.position]
                assert app.load(Person, "person-1").state.email is FORGOTTEN
                try:
                    app.do(Person.register, "person-2", user="u-1", email="ada@example.org")
                except SubjectForgottenError:
                    assert files_with(path, SECRETS) == []
                    os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0, "what was left is not as it should be"

    return each_step(prepare, work, look)


SCENARIOS: Final = (making_a_store, making_a_key, destroying_a_key, rotating, forgetting)

if __name__ == "__main__":
    wanted = next(each for each in SCENARIOS if each.__name__ == sys.argv[1])
    print(wanted(Path(sys.argv[2])), "steps")
