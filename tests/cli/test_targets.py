"""What becomes of reactions, from a shell: `act-fast targets`, `why`, `unblock`, `reset`, `prioritize`,
`forget`, `rebuild`."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, Committed, Event, Lane

TIMEOUT_SECONDS = 60


class Ordered(Event):
    amount: int


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Act]:
    """Orders by three customers: `bob` fails, `ada` is caught up, `eve` is caught up and another lane's."""
    with Act(tmp_path / "shop.act", lanes=[Lane("mail")]) as app:

        @app.on(Ordered, source="^(ada|bob)$", retries=0)
        def charge(event: Committed[Ordered]) -> None:
            if event.data.amount == 13:
                raise ValueError("no credit")

        @app.on(Ordered, source="eve", lane="mail")
        def post(event: Committed[Ordered]) -> None: ...

        for stream, amount in [("ada", 1), ("bob", 2), ("eve", 3), ("bob", 13), ("bob", 4)]:
            app.store.append(stream, [Ordered(amount)])
        app.settle()
        yield app


def path(app: Act) -> str:
    return app.store.path  # type: ignore[attr-defined]


def one(ran) -> dict[str, Any]:
    [line] = ran.out.splitlines()
    return json.loads(line)


def test_targets_are_listed_with_all_that_holds_them_up(run, shop: Act) -> None:
    ran = run("targets", path(shop))
    assert ran.code == 0
    assert [row[:6] for row in ran.rows] == [
        ["ada", "caught up", "5", "1", "0", "0"],
        ["bob", "blocked", "3", "5", "2", "1"],
        ["eve", "caught up", "5", "3", "0", "0"],
    ]
    assert ran.rows[1][7] == "ValueError: no credit"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--blocked"], ["bob"]),
        (["--lane", "mail"], ["eve"]),
        (["--pattern", "o|e"], ["bob", "eve"]),
        (["--after", "ada", "--limit", "1"], ["bob"]),
        (["--limit", "0"], []),
    ],
)
def test_targets_are_narrowed_by(run_here, shop: Act, options: list[str], names: list[str]) -> None:
    assert [row[0] for row in run_here("targets", path(shop), *options).rows] == names


def test_targets_as_json_are_one_object_a_line(run_here, shop: Act) -> None:
    found = one(run_here("targets", path(shop), "--blocked", "--json"))
    assert (found["target"], found["failing"], found["reactions"], found["holder"]) == ("bob", 4, ["charge"], None)


def test_tags_that_reactions_follow_are_listed(run_here, tmp_path: Path) -> None:
    with Act(tmp_path / "shop.act") as app:
        app.on(Ordered, to="desk", tags=["key=one"], name="first")(lambda event: None)
        app.on(Ordered, to="desk", name="every")(lambda event: None)
        app.store.append("ada", [Ordered(1)], key="one")
        app.settle()
        path = app.store.path  # type: ignore[attr-defined]
    assert one(run_here("targets", path, "--json"))["tags"] == {"first": ["key=one"]}
    assert run_here("targets", path).rows[0][-1] == '{"first":["key=one"]}'


def test_a_terminal_shows_both_frontiers(run_on_terminal, shop: Act) -> None:
    title, *_, last = run_on_terminal("targets", path(shop)).out.rstrip().splitlines()
    assert title.split()[:3] == ["target", "state", "watermark"]
    assert last == ("head 5; leading 5, lagging 3; 3 targets: 1 blocked, 2 caught up; 2 events to process")


def test_a_store_without_reactions_has_no_targets(run, bank: Path) -> None:
    assert (run("targets", bank).code, run("targets", bank).out) == (0, "")
    assert "no program with reactions has ever worked" in run("why", bank, "audit").out


def test_watching_needs_a_terminal(run, shop: Act) -> None:
    ran = run("targets", path(shop), "--watch")
    assert (ran.code, ran.out) == (2, "")
    assert "--watch" in ran.err


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("ada", 0, ["caught up", "the last at position 1"]),
        ("bob", 1, ["blocked at position 4, after 1 attempt: ValueError: no credit", "act-fast unblock"]),
        ("zoe", 1, ["not there", "no event correlated so far concerns"]),
        ("charge", 1, ["not there", "is the name of a reaction"]),
    ],
)
def test_why_says_in_words(run, shop: Act, target: str, code: int, words: list[str]) -> None:
    ran = run("why", path(shop), target)
    assert ran.code == code
    for each in words:
        assert each in ran.out


def test_why_of_a_target_that_waits_for_its_next_attempt(run, shop: Act) -> None:
    @shop.on(Ordered, source="ada", to="slow", backoff=1000)
    def slow(event: Committed[Ordered]) -> None:
        raise ValueError("busy")

    shop.settle()
    out = run("why", path(shop), "slow").out
    assert "slow: waiting" in out
    assert "an attempt has failed at position 1, after 1 attempt: ValueError: busy" in out
    assert "the next one is at " in out


def test_why_of_a_target_that_is_deferred(run, shop: Act) -> None:
    shop.store.append("ada", [Ordered(5)])
    shop.defer("ada", until=datetime.now(UTC) + timedelta(hours=1))
    shop.settle()
    assert "it is deferred, and continues at " in run("why", path(shop), "ada").out


def test_why_of_a_target_that_nobody_works_on(run, shop: Act) -> None:
    shop.store.append("ada", [Ordered(5)])
    shop.correlate()
    shop.store.append("ada", [Ordered(5)])
    out = run("why", path(shop), "ada").out
    assert "1 event to process but no worker holds it: no worker is running that has the code of 'charge'" in out
    assert "reaction 'charge' was correlated up to position 6 of 7" in out


def test_why_of_a_target_that_somebody_holds(run, shop: Act) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @shop.on(Ordered, source="ada", to="long")
    def long(event: Committed[Ordered]) -> None:
        begun.set()
        assert go_on.wait(TIMEOUT_SECONDS)

    worker = threading.Thread(target=shop.settle)
    worker.start()
    assert begun.wait(TIMEOUT_SECONDS)
    answer = one(run("why", path(shop), "long", "--json"))
    go_on.set()
    worker.join()
    assert answer["state"] == "leased"
    assert f"process {os.getpid()} has leased it until" in answer["reasons"][0]
    assert "is working on it" in answer["reasons"][0]


def test_unblock_lets_it_go_on(run, shop: Act) -> None:
    assert run("unblock", path(shop), "bob").out == "1 target unblocked\n"
    assert [target.blocked for target in shop.targets("bob")] == [False]


def test_reset_lets_them_begin_again(run, shop: Act) -> None:
    assert run("reset", path(shop), "--pattern", "ada|bob").out == "2 targets reset\n"
    assert [(target.name, target.lag) for target in shop.targets() if target.lag] == [("ada", 1), ("bob", 3)]


def test_prioritize_sets_priorities(run, shop: Act) -> None:
    assert run("prioritize", path(shop), "7", "--lane", "mail").out == "1 target changed\n"
    assert run("prioritize", path(shop), "--", "-7", "ada").out == "1 target changed\n"
    assert [target.priority for target in shop.targets()] == [-7, 0, 7]


@pytest.mark.parametrize(
    "arguments",
    [["unblock"], ["reset"], ["prioritize", "1"], ["unblock", "zoe"], ["reset", "--pattern", "("], ["prioritize", "x"]],
)
def test_which_targets_must_be_said_and_right(run, shop: Act, arguments: list[str]) -> None:
    verb, *rest = arguments
    ran = run(verb, path(shop), *rest)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["targets", "why", "unblock", "reset", "prioritize"])
def test_a_path_without_a_store_is_wrong_usage(run, tmp_path: Path, command: str) -> None:
    more = ["1", "x"] if command == "prioritize" else [] if command == "targets" else ["x"]
    ran = run(command, tmp_path / "nowhere.act", *more)
    assert (ran.code, ran.out) == (2, "")
    assert not (tmp_path / "nowhere.act").exists()


@pytest.mark.parametrize("command", ["targets", "why", "unblock", "reset", "prioritize", "rebuild"])
def test_every_command_has_examples(run, command: str) -> None:
    assert f"act-fast {command} bank" in run(command, "--help").out


def test_rebuild_replays_a_projection_of_an_app(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "selling.py").write_text(
        "import sqlite3\n"
        "from act_fast import Act, Event, SqlProjection, on\n"
        "class Ordered(Event):\n"
        "    amount: int\n"
        "class Sales(SqlProjection, name='sales'):\n"
        "    tables = ('sales',)\n"
        "    def setup(self, db):\n"
        "        db.execute(f\"create table if not exists {self.table('sales')} (amount int)\")\n"
        "    @on(Ordered)\n"
        "    def ordered(self, event, db):\n"
        "        db.execute(f\"insert into {self.table('sales')} values (?)\", (event.data.amount,))\n"
        "def app():\n"
        "    return Act('selling.act', Sales(lambda: sqlite3.connect('sales.db', check_same_thread=False)))\n"
    )
    with Act("selling.act") as app:
        app.store.append("ada", [Ordered(5), Ordered(6)])
    assert run("rebuild", "selling:app", "sales").out == "sales: 2 events replayed\n"
    assert run("rebuild", "selling:app", "sales", "--anew").out == "sales: 2 events replayed\n"
    connection = sqlite3.connect("sales.db")
    assert connection.execute("select sum(amount) from sales").fetchone() == (11,)
    connection.close()
    ran = run("rebuild", "selling:app", "totals")
    assert (ran.code, ran.out) == (2, "")
    assert "'totals' is not a projection of this app, which has 'sales'" in ran.err


def test_a_reaction_that_is_gone_can_be_forgotten(run, shop: Act) -> None:
    ran = run("forget-reaction", path(shop), "post")
    assert (ran.code, ran.out) == (0, "1 reaction forgotten\n")
    assert [row[0] for row in run("targets", path(shop)).rows] == ["ada", "bob"]
    again = run("forget-reaction", path(shop), "post")
    assert again.code == 2
    assert again.err == "act-fast: there is no reaction 'post'; the store knows 'charge'\n"


def test_what_changes_targets_must_be_told_which(run, shop: Act) -> None:
    ran = run("reset", path(shop))
    assert ran.code == 2
    assert ran.err == (
        "act-fast: reset must be told which targets: names, --pattern or --lane; --pattern '' is all of them\n"
    )


def test_the_frontiers_are_those_of_the_targets_asked_for(run_on_terminal, shop: Act) -> None:
    last = run_on_terminal("targets", path(shop), "--blocked").out.rstrip().splitlines()[-1]
    assert last == "head 5; of those asked for: leading 3, lagging 3; 1 target: 1 blocked; 2 events to process"


def test_why_tells_the_tags_of_the_event_that_fails(run, shop: Act) -> None:
    shop.store.append("bob", [("Ordered", b'{"amount":13}', ["till:1", "user:bob"])])
    shop.skip("bob", reason="r")
    shop.settle(raises=False)
    ran = run("why", path(shop), "bob")
    assert "version 4 of stream 'bob', tagged till:1, user:bob; the reaction is 'charge'" in ran.out
    assert one(run("why", path(shop), "bob", "--json"))["tags"] == ["till:1", "user:bob"]
