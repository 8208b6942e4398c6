"""A process that comes to its own limits: that is an error for this call of this process, and for no one else."""

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from act_fast import Act, Committed, Durability, LogStore
from act_fast.errors import StoreError, StoreFailedError
from tests.support.bank import Account, Deposited
from tests.support.numbered import pairs, positions
from tests.support.processes import Tell, limit_descriptors, needs_proc, open_below, run, started, until

ROOT = Path(__file__).parents[3]
TEXT = b'"' + b"x" * 1000 + b'"'
SEGMENT_BYTES = 16 * 1024

pytestmark = needs_proc


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process have no descriptor left."""
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    try:
        yield
    finally:
        for each in taken:
            os.close(each)


@contextlib.contextmanager
def no_address_space() -> Iterator[None]:
    """Let this process map nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def append_until_refused(store: LogStore) -> StoreError:
    """Append until the process is at its limit; nothing but this call is refused, and nothing of it is there."""
    heads = [store.head]

    def append_many() -> None:
        for _ in range(10_000):
            store.append("a", [("Padded", TEXT)] * 10)
            heads.append(store.head)

    with pytest.raises(StoreError) as caught:
        append_many()
    assert not isinstance(caught.value, StoreFailedError), caught.value
    assert store.head == heads[-1]
    return caught.value


@pytest.mark.parametrize(
    ("durability", "limited"),
    [
        ("fsync", no_descriptors),  # which maps nothing to append
        *(pytest.param(each, limit) for each in ("interval", "os") for limit in (no_descriptors, no_address_space)),
    ],
)
def test_a_process_at_its_limit_is_refused_and_the_store_goes_on(
    store_path: Path, durability: str, limited: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    segment_bytes = SEGMENT_BYTES if limited is no_descriptors else 1 << 24

    def opened() -> LogStore:
        return LogStore(store_path, durability=durability, segment_bytes=segment_bytes)  # type: ignore[arg-type]

    def other(tell: Tell) -> None:
        with opened() as store:
            store.append("b", pairs(1))
            tell("open")
            input_of_parent.wait()
            store.append("b", pairs(1, first=2))  # not poisoned by what another process may not do
            assert positions(store.query()) == list(range(1, store.head + 1))

    class Signal:
        def __init__(self) -> None:
            self.reading, self.writing = os.pipe()

        def wait(self) -> None:
            os.close(self.writing)
            os.read(self.reading, 1)

    input_of_parent = Signal()

    def at_limit(tell: Tell) -> None:
        limit = limit_descriptors(70)
        with opened() as store:
            store.append("a", pairs(1))
            with limited():
                message = str(append_until_refused(store))
            store.append("a", pairs(1))
            assert positions(store.query()) == list(range(1, store.head + 1))
            assert store.verify().healthy
        tell(message)
        tell(str(limit))

    with started(other) as (neighbour,):
        assert neighbour.next_line() == "open"
        message, limit = run(at_limit)[0]
        os.close(input_of_parent.writing)
        assert list(neighbour.lines()) == []
        assert neighbour.wait() == 0
    os.close(input_of_parent.reading)
    if limited is no_descriptors:
        assert str(store_path) in message
        assert limit in message
        assert "ulimit -n" in message


def test_opening_one_store_too_many_says_which_and_what_each_needs(tmp_path: Path) -> None:
    def open_many(tell: Tell) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with contextlib.ExitStack() as stores:
            for number in range(64):
                path = tmp_path / f"s-{number}.act"
                try:
                    stores.enter_context(LogStore(path))
                except StoreError as error:
                    tell(f"{path} {error}")
                    return

    path, _, message = run(open_many)[0][0].partition(" ")
    assert path in message
    assert "64" in message
    assert "takes 3 files" in message


def test_a_store_that_others_have_open_is_not_told_to_be_damaged_where_no_descriptor_is_left(store_path: Path) -> None:
    """Each opening needs one more than the one before, until it has enough."""
    program = f"""
import os, resource
from act_fast import LogStore, StoreError
from tests.support.processes import take_descriptors

first = LogStore({str(store_path)!r})
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = take_descriptors()
while taken:
    try:
        LogStore({str(store_path)!r}).close()
    except StoreError as error:
        print(type(error).__name__, "ulimit -n" in str(error) or str(error))
        os.close(taken.pop())
    else:
        break
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    said = done.stdout.splitlines()
    assert len(said) > 3, done.stderr
    assert set(said) == {"StoreError True"}


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
def test_a_store_has_no_more_files_open_than_is_said(store_path: Path, durability: Durability) -> None:
    """However many files it is made of, and whatever is done with it; for moments it may have more."""

    def few() -> bool:
        return open_below(store_path) <= 3

    def use(tell: Tell) -> None:
        with LogStore(store_path, durability=durability, segment_bytes=SEGMENT_BYTES) as store:
            for number in range(200):
                store.append(f"s-{number}", [("Padded", TEXT)] * 5)
            assert store.stats().segments > 10
            assert len(list(store.query())) == 1000
            assert store.version("s-7") == 5
            until(few)
            app = Act(store, Account)
            heard: list[int] = []

            @app.on(Deposited, to="{stream}")
            def hear(event: Committed[Deposited]) -> None:
                heard.append(event.position)

            for number in range(200):
                app.do(Account.deposit, f"account-{number}", amount=5)
            app.settle()
            assert len(heard) == 200
            until(few)
            assert store.verify().healthy
            with LogStore(store_path, read_only=True) as reader:
                assert len(list(reader.query())) == 1200
                until(lambda: open_below(store_path) <= 4)
            app.close()

    run(use)
