"""Reactions: who gets what, when, how often, and what becomes of it; by the verbs of `ReactionPort` alone."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from act_fast.errors import ValidationError
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import Leased, Outcome, ReactionPort, Spec, reactions_of
from act_fast.testing.conformance.cases import Cases, OpenStore, pairs

__all__ = ["OpenPort", "Reactions", "reaction_differences"]

OpenPort: TypeAlias = Callable[..., ReactionPort]
"""Opens the reactions of one more program, with these specs, on the store of a test."""

_PATIENCE_SECONDS = 60.0
_LEASE_MS = 600_000
_SHORT_MS = 30
_FAR_MS = 2**42


def spec(name: str = "r", to: str | None = "t-{stream}", **more: Any) -> Spec:
    """A reaction to `Counted`, unless it is said otherwise."""
    given: dict[str, Any] = {"events": ["Counted"], "source": None, "lane": "default", "priority": 0, **more}
    from_now, tags = given.get("from_now", False), given.get("tags", ())
    return name, given["events"], to, given["source"], given["lane"], given["priority"], from_now, tags


def correlate(port: ReactionPort) -> None:
    """Find whom all events concern; functions name the target `f`."""
    while not (found := port.correlate(100))[3]:
        for reaction, after, upto, rows in found[4]:
            port.resolve(reaction, after, upto, [(row[0], ["f"]) for row in rows])


def claim(port: ReactionPort, lagging: int = 10, leading: int = 0, **more: Any) -> list[Leased]:
    """Lease targets with all that is known of them."""
    given = {"lanes": None, "window": 100, "lease_ms": _LEASE_MS, "cut": port.cut(), **more}
    return port.claim(given["lanes"], lagging, leading, given["window"], given["lease_ms"], 7, given["cut"])


def positions(lease: Leased) -> list[int]:
    """The positions of the events of a lease."""
    return [row[0] for row in lease[5]]


def outcome(lease: Leased, then: str = "free", done: int | None = None, due_ms: int = 0, error: str = "") -> Outcome:
    """What a lease has come to: all of it done, unless something else comes then."""
    if then == "free" and done is None:
        done = positions(lease)[-1]
    failing = next((at for at in positions(lease) if at > (done or 0)), 0)
    return lease[0], lease[2], done, then, failing, due_ms, error


def finish(port: ReactionPort, lease: Leased, *args: Any, **more: Any) -> bool:
    """Finish one lease; whether that was accepted."""
    return port.finish([outcome(lease, *args, **more)])[0]


def told(port: ReactionPort, name: str) -> dict[str, Any]:
    """What is known of a target."""
    (found,) = port.targets([name])
    return found


def until(port: ReactionPort, lagging: int = 10) -> list[Leased]:
    """Claim until there is something."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not (found := claim(port, lagging)):
        assert time.monotonic() < end, "nothing can be claimed"
        time.sleep(0.005)
    return found


class Reactions(Cases):
    """What holds for the reactions of any store that keeps them."""

    @pytest.fixture
    def open_port(self, store: Store) -> Iterator[OpenPort]:
        """Opens the reactions of a program."""
        self.needs("reactions")
        with ExitStack() as opened:

            def open_one(*specs: Spec) -> ReactionPort:
                port = reactions_of(store)
                opened.callback(port.close)
                port.register(specs or [spec()])
                return port

            yield open_one

    def test_each_event_is_delivered_once_to_each_target_in_order(self, store: Store, open_port: OpenPort) -> None:
        port = open_port(spec(), spec("all", "all", events=["Counted", "Other"]))
        store.append("a", pairs(2))
        store.append("b", [*pairs(1), ("Other", b"{}"), ("Nobodys", b"{}")])
        correlate(port)
        leases = {lease[1]: lease for lease in claim(port)}
        assert {name: positions(lease) for name, lease in leases.items()} == {
            "t-a": [1, 2],
            "t-b": [3],
            "all": [1, 2, 3, 4],
        }
        assert claim(port) == [], "what is leased is not leased again"
        assert port.finish([outcome(lease) for lease in leases.values()]) == [True] * 3
        assert claim(port) == []
        assert {each["name"]: (each["lag"], each["watermark"]) for each in port.targets()} == {
            "t-a": (0, 5),
            "t-b": (0, 5),
            "all": (0, 5),
        }

    def test_a_window_bounds_what_comes_at_once(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        store.append("a", pairs(7))
        correlate(port)
        seen = []
        while leases := claim(port, window=3):
            seen.append(positions(leases[0]))
            assert leases[0][7] == (len(seen) < 3)
            finish(port, leases[0])
        assert seen == [[1, 2, 3], [4, 5, 6], [7]]

    def test_nothing_above_the_cut_is_delivered(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        store.append("a", pairs(4))
        correlate(port)
        (lease,) = claim(port, cut=2)
        assert positions(lease) == [1, 2]
        assert finish(port, lease)
        assert positions(claim(port)[0]) == [3, 4]

    def test_a_lease_that_ran_out_is_fenced_off(self, store: Store, open_port: OpenPort) -> None:
        slow, quick = open_port(), open_port()
        store.append("a", pairs(2))
        correlate(slow)
        (lost,) = claim(slow, lease_ms=_SHORT_MS)
        taken = until(quick)[0]
        assert taken[1:3] == ("t-a", lost[2] + 1)
        assert taken[8] is not None
        assert taken[8][0], "it is told that the last lease was lost"
        assert not finish(slow, lost)
        assert slow.renew([(lost[0], lost[2])], _LEASE_MS) == [False]
        assert told(quick, "t-a")["lag"] == 2
        assert finish(quick, taken)

    def test_a_lease_that_is_renewed_goes_on(self, store: Store, open_port: OpenPort) -> None:
        port, other = open_port(), open_port()
        store.append("a", pairs(1))
        correlate(port)
        (lease,) = claim(port, lease_ms=60_000)
        assert port.renew([(lease[0], lease[2])], _LEASE_MS) == [True]
        found = told(other, "t-a")
        assert found["lease_ms"] > 60_000
        assert found["holder"] == 7
        assert claim(other) == []
        assert finish(port, lease)
        assert told(other, "t-a")["holder"] is None

    def test_what_succeeded_before_a_failure_is_done(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        store.append("a", pairs(3))
        correlate(port)
        assert finish(port, claim(port)[0], "retry", done=1, due_ms=1, error="no")
        (again,) = claim(port)
        assert (positions(again), again[3]) == ([2], 2), "what has failed comes alone, and its attempts are counted"
        assert told(port, "t-a")["error"] == "no"
        assert finish(port, again)
        (last,) = claim(port)
        assert (positions(last), last[3]) == ([3], 1), "the budget is that of an event"
        assert told(port, "t-a")["failing"] is None

    def test_a_retry_is_not_before_its_time(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        store.append("a", pairs(1))
        correlate(port)
        now_ms = time.time_ns() // 1_000_000
        assert finish(port, claim(port)[0], "retry", due_ms=now_ms + 600_000, error="no")
        assert claim(port) == []
        wait_ms = port.next_ms()
        assert wait_ms is not None
        assert 0 < wait_ms <= 660_000
        assert port.unblock() == 0
        assert port.defer(1) == 1, "by hand, it may be sooner"
        assert positions(claim(port)[0]) == [1]

    def test_a_blocked_target_stops_until_it_is_unblocked(self, store: Store, open_port: OpenPort) -> None:
        port, other = open_port(), open_port()
        store.append("a", pairs(2))
        store.append("b", pairs(1))
        correlate(port)
        leases = {lease[1]: lease for lease in claim(port)}
        assert finish(port, leases["t-a"], "block", done=1, error="broken " * 300)
        assert finish(port, leases["t-b"])
        store.append("a", pairs(1))
        correlate(other)
        assert claim(other) == []
        (found,) = other.targets(blocked=True)
        assert (found["name"], found["failing"], found["lag"]) == ("t-a", 2, 2)
        assert str(found["error"]).startswith("broken broken")
        assert other.unblock(["t-a"]) == 1
        (again,) = claim(port)
        assert (positions(again), again[3]) == ([2, 4], 1)

    def test_targets_are_blocked_and_paused_by_hand(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        for stream in ("a", "b", "c"):
            store.append(stream, pairs(1))
        correlate(port)
        (lease,) = claim(port, 1)
        assert port.block("by hand", pattern="-[ab]$") == 2
        assert not finish(port, lease), "a lease on what is blocked ends"
        assert port.defer(_FAR_MS, ["t-c"]) == 1
        assert claim(port) == []
        assert told(port, "t-c")["due_ms"] == _FAR_MS
        assert port.unblock() == 2
        assert {each[1] for each in claim(port)} == {"t-a", "t-b"}
        with pytest.raises(ValidationError, match="there is no target"):
            port.block("x", ["nobody"])

    def test_a_deferral_is_no_failure(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        store.append("a", pairs(2))
        correlate(port)
        assert finish(port, claim(port)[0], "defer", done=1, due_ms=_FAR_MS)
        assert claim(port) == []
        found = told(port, "t-a")
        assert (found["due_ms"], found["attempts"], found["lag"]) == (_FAR_MS, 0, 1)

    def test_a_reset_target_does_all_of_it_again(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        store.append("a", pairs(3))
        correlate(port)
        assert finish(port, claim(port)[0])
        assert port.reset(["t-a"], to=1) == 1
        (lease,) = claim(port)
        assert positions(lease) == [2, 3]
        assert lease[8] is not None
        assert lease[8][3] == [(0, "Counted", 3)], "it is told what is a repetition"
        assert port.reset() == 1
        assert not finish(port, lease), "the former holder is fenced off"
        assert positions(claim(port)[0]) == [1, 2, 3]

    def test_an_event_is_skipped_by_hand_and_that_is_noted(self, store: Store, open_port: OpenPort) -> None:
        port, other = open_port(), open_port()
        store.append("a", pairs(2))
        correlate(port)
        assert finish(port, claim(port)[0], "block", error="broken")
        assert port.heads("t-a") == [("r", 1, 1, 0)]
        with pytest.raises(ValidationError):
            port.skip("t-a", "r", 2, "not the next one")
        port.skip("t-a", "r", 1, "by Ada")
        assert other.skipped() == ["by Ada"]
        assert other.heads("t-a") == [("r", 2, 0, 1)]
        assert positions(claim(other)[0]) == [2]

    def test_lanes_are_claimed_apart(self, store: Store, open_port: OpenPort) -> None:
        port = open_port(spec("slow", "s-{stream}", lane="slow"), spec("quick", "q-{stream}", lane="quick"))
        store.append("a", pairs(1))
        correlate(port)
        assert port.any_ready(["slow"])
        assert [lease[1] for lease in claim(port, lanes=["slow"])] == ["s-a"]
        assert not port.any_ready(["slow"])
        assert [lease[1] for lease in claim(port, lanes=["quick"])] == ["q-a"]
        assert [each["name"] for each in port.targets(lane="quick")] == ["q-a"]

    def test_priorities_come_first_and_starve_nobody(self, store: Store, open_port: OpenPort) -> None:
        low, high = spec("low", "low-{stream}", source="^l"), spec("high", "high-{stream}", priority=5, source="^h")
        port = open_port(low, high)
        for number in range(4):
            store.append(f"l{number}", pairs(1))
        for number in range(8):
            store.append(f"h{number}", pairs(1))
        correlate(port)
        names = [lease[1] for lease in claim(port, 4)]
        assert names[:3] == ["high-h0", "high-h1", "high-h2"]
        assert names[3] == "low-l0", "a share is for the targets furthest behind"
        singles = [claim(port, 1)[0][1] for _ in range(4)]
        assert sum(name.startswith("low") for name in singles) == 1, "and every fourth of those claimed one at a time"
        assert port.prioritize(9, ["low-l3"]) == 1
        assert claim(port, 2)[0][1] == "low-l3"

    def test_leading_targets_come_from_the_other_end(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        for stream in ("a", "b", "c", "d"):
            store.append(stream, pairs(1))
        correlate(port)
        found = [(lease[1], lease[4]) for lease in claim(port, 1, 2)]
        assert found == [("t-a", True), ("t-d", False), ("t-c", False)]

    def test_a_later_reaction_begins_where_it_says(self, store: Store, open_port: OpenPort) -> None:
        first = open_port()
        store.append("a", pairs(2))
        correlate(first)
        assert finish(first, claim(first)[0])
        later = open_port(spec(), spec("history", "h"), spec("now", "n", from_now=True))
        store.append("a", pairs(1))
        correlate(later)
        found = {lease[1]: positions(lease) for lease in claim(later)}
        assert found == {"t-a": [3], "h": [1, 2, 3], "n": [3]}
        assert sorted(first.cursors()) == [("history", 3, False), ("now", 3, False), ("r", 3, True)]

    def test_functions_find_targets_several_or_none(self, store: Store, open_port: OpenPort) -> None:
        port = open_port(spec("f", None))
        store.append("a", pairs(3))
        examined, _, _, caught_up, ((reaction, after, upto, rows),), failed = port.correlate(100)
        assert (examined, caught_up, after, upto, failed) == (3, False, 0, 3, [])
        assert [(row[0], row[1], row[3], row[5]) for row in rows] == [
            (number, "a", "Counted", b'{"number":%d}' % number) for number in (1, 2, 3)
        ]
        assert port.resolve(reaction, after, upto, [(1, ["x", "y"]), (3, ["x"])]) == (2, 3)
        assert {lease[1]: positions(lease) for lease in claim(port)} == {"x": [1, 3], "y": [1]}

    def test_who_is_slower_to_resolve_changes_nothing(self, store: Store, open_port: OpenPort) -> None:
        one, other = open_port(spec("f", None)), open_port(spec("f", None))
        store.append("a", pairs(1))
        asked = [port.correlate(100)[4][0] for port in (one, other)]
        assert one.resolve(*asked[0][:3], [(1, ["x"])]) == (1, 1)
        assert other.resolve(*asked[1][:3], [(1, ["y"])]) == (0, 0)
        assert [each["name"] for each in other.targets()] == ["x"]

    def test_a_reaction_holds_before_an_event_that_names_no_target(self, store: Store, open_port: OpenPort) -> None:
        port = open_port(spec("held", "{data.owner}"), spec())
        store.append("a", [("Counted", b'{"owner":"ada"}'), ("Counted", b"{}"), ("Counted", b'{"owner":"bob"}')])
        failed: list[tuple[int, int, str]] = []
        while not (found := port.correlate(100))[3]:
            for reaction, position, error in found[5]:
                assert port.attempts_at(reaction, position) == 0
                assert port.hold(reaction, position, 1, None, error)
                failed.append((reaction, position, error))
        assert [each[:2] for each in failed] == [(0, 2)]
        assert {lease[1]: positions(lease) for lease in claim(port)} == {"ada": [1], "t-a": [1, 2, 3]}
        held = told(port, "held")
        assert (held["blocked"], held["failing"], held["watermark"]) == (True, 2, 1)
        assert port.unblock(["held"]) == 1
        assert port.correlate(100)[5][0][:2] == (0, 2)

    def test_progress_tells_of_targets_that_are_not_there_yet(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        store.append("a", [("Other", b"{}")])
        correlate(port)
        found = port.progress("t-b")
        assert found is not None
        assert found["lag"] == 0
        assert port.progress("nobody") is None

    def test_a_reaction_that_is_forgotten_is_new_when_it_comes_back(self, store: Store, open_port: OpenPort) -> None:
        port = open_port()
        store.append("a", pairs(2))
        correlate(port)
        assert finish(port, claim(port)[0])
        assert port.forget("r")
        assert port.targets() == []
        again = open_port()
        correlate(again)
        assert positions(claim(again)[0]) == [1, 2]

    def test_what_one_program_finds_another_can_claim(self, store: Store, open_port: OpenPort) -> None:
        one, other = open_port(), open_port()
        for number in range(5):
            store.append(f"s{number}", pairs(1))
        correlate(one)
        names = [lease[1] for port in (one, other, one, other, one) for lease in claim(port, 1)]
        assert sorted(names) == [f"t-s{number}" for number in range(5)]

    def test_programs_at_once_handle_each_event_once_and_in_order(self, store: Store, open_port: OpenPort) -> None:
        ports = [open_port() for _ in range(4)]
        handled: dict[str, list[int]] = {}
        lock = threading.Lock()

        def work(port: ReactionPort) -> None:
            end = time.monotonic() + _PATIENCE_SECONDS
            while sum(map(len, handled.values())) < 120:
                assert time.monotonic() < end
                correlate(port)
                leases = claim(port, 3, window=4)
                for lease in leases:
                    with lock:
                        handled.setdefault(lease[1], []).extend(positions(lease))
                assert all(port.finish([outcome(lease) for lease in leases]))

        with ThreadPoolExecutor(len(ports) + 1) as pool:
            working = [pool.submit(work, port) for port in ports]
            for number in range(120):
                store.append(f"s{number % 10}", pairs(1))
            for each in working:
                each.result()
        assert handled == {f"t-s{stream}": list(range(stream + 1, 121, 10)) for stream in range(10)}

    def test_news_of_commits_and_of_wakes_end_a_sleep(self, store: Store, open_port: OpenPort) -> None:
        port, other = open_port(), open_port()
        for cause in (lambda: store.append("a", pairs(1)), other.wake):
            mark = port.expect_news()
            with ThreadPoolExecutor(1) as pool:
                asleep = pool.submit(_woken, port.wait_news, mark)
                cause()
                assert asleep.result(_PATIENCE_SECONDS) != mark

    def test_a_move_of_a_target_ends_a_sleep(self, store: Store, open_port: OpenPort) -> None:
        port, other = open_port(), open_port()
        store.append("a", pairs(1))
        correlate(other)
        mark = port.expect_moves()
        with ThreadPoolExecutor(1) as pool:
            asleep = pool.submit(_woken, port.wait_moves, mark)
            assert finish(other, claim(other)[0])
            assert asleep.result(_PATIENCE_SECONDS) != mark

    def test_all_of_it_is_there_when_the_store_is_opened_again(self, open_store: OpenStore) -> None:
        self.needs("reactions")
        self.needs("lasting")
        with open_store() as store:
            port = reactions_of(store)
            port.register([spec()])
            for stream in ("a", "b"):
                store.append(stream, pairs(3))
            correlate(port)
            leases = {lease[1]: lease for lease in claim(port)}
            assert finish(port, leases["t-a"], "block", done=1, error="broken")
            assert finish(port, leases["t-b"], done=5)
            before = port.targets()
            port.close()
        with open_store() as store:
            port = reactions_of(store)
            port.register([spec()])
            assert port.targets() == before
            assert positions(claim(port)[0]) == [6]
            port.close()


def _woken(wait: Callable[[int, int | None], int], mark: int) -> int:
    end = time.monotonic() + _PATIENCE_SECONDS
    while (found := wait(mark, 1000)) == mark and time.monotonic() < end:
        pass
    return found


_SPECS: Sequence[Spec] = (
    spec("own", "t-{stream}"),
    spec("all", "all", events=["Counted", "Other"], priority=1),
    spec("some", "some-{name}", events=["Other"], source="^s[12]$", lane="slow"),
)


def reaction_differences(seed: int, one: Store, other: Store, steps: int = 150) -> list[str]:
    """The same random story of two programs on two stores: where their answers differ."""
    found: list[str] = []
    ports = [[reactions_of(store) for _ in range(2)] for store in (one, other)]
    held: list[dict[int, Leased]] = [{}, {}]
    dice = random.Random(seed)
    try:
        for pair in ports:
            for port in pair:
                port.register(_SPECS)
        for step in range(steps):
            who = dice.randrange(2)
            does = _STEPS[dice.randrange(len(_STEPS))]
            turn = dice.random()
            answers = [
                does(random.Random(turn), store, ports[at][who], held[at]) for at, store in enumerate((one, other))
            ]
            if answers[0] != answers[1]:
                found.append(f"step {step}, {does.__name__}: {answers[0]!r} is not {answers[1]!r}")
        states = [_state(pair[0]) for pair in ports]
        if states[0] != states[1]:
            found.append(f"at the end: {states[0]!r} is not {states[1]!r}")
    finally:
        for port in (each for pair in ports for each in pair):
            port.close()
    return found


def _append(dice: random.Random, store: Store, port: ReactionPort, held: dict[int, Leased]) -> object:
    names = [dice.choice(["Counted", "Other", "Nobodys"]) for _ in range(dice.randrange(1, 4))]
    return store.append(f"s{dice.randrange(4)}", [(name, b"{}") for name in names]).last_position


def _correlate(dice: random.Random, store: Store, port: ReactionPort, held: dict[int, Leased]) -> object:
    found = port.correlate(dice.randrange(1, 9))
    return found[:4], found[5]


def _claim(dice: random.Random, store: Store, port: ReactionPort, held: dict[int, Leased]) -> object:
    leases = claim(port, dice.randrange(3), dice.randrange(2), window=dice.randrange(1, 5))
    held.update({lease[0]: lease for lease in leases})
    return [(*lease[:5], positions(lease), *lease[6:]) for lease in leases]


def _finish(dice: random.Random, store: Store, port: ReactionPort, held: dict[int, Leased]) -> object:
    leases = [held.pop(number) for number in sorted(held) if dice.random() < 0.7]
    outcomes = []
    for lease in leases:
        then = dice.choice(["free", "free", "retry", "block", "defer"])
        done = dice.choice([None, *positions(lease)[:-1]]) if then != "free" else None
        outcomes.append(outcome(lease, then, done, due_ms=1, error="" if then in ("free", "defer") else f"no {then}"))
    return port.finish(outcomes) if outcomes else []


def _by_hand(dice: random.Random, store: Store, port: ReactionPort, held: dict[int, Leased]) -> object:
    verb = dice.randrange(5)
    if verb == 0:
        return port.unblock()
    if verb == 1:
        return port.reset(pattern="^t-", to=dice.randrange(20))
    if verb == 2:
        return port.prioritize(dice.randrange(4), pattern="s")
    if verb == 3:
        return port.block("by hand", pattern="some")
    return [port.heads(str(each["name"])) for each in port.targets()]


def _look(dice: random.Random, store: Store, port: ReactionPort, held: dict[int, Leased]) -> object:
    return _state(port)


def _state(port: ReactionPort) -> object:
    targets = [{**each, "lease_ms": each["lease_ms"] is not None} for each in port.targets()]
    return targets, port.cursors(), port.cut(), port.any_ready(), port.skipped()


_STEPS = (_append, _append, _correlate, _correlate, _claim, _claim, _finish, _finish, _by_hand, _look)
