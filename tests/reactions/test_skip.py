"""Stepping over an event, beginning again at a position, and handlers that know what they repeat."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from act_fast import (
    Act,
    Actor,
    AsyncAct,
    Committed,
    Lane,
    LogStore,
    Projection,
    Skipped,
    ValidationError,
    batch,
    connect,
    on,
)
from act_fast.cli.main import main
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit
from tests.support.processes import until
from tests.support.working import working


class Poisoned(Heard):
    """Fails on deposits of 13, until it is healed."""

    healed = False

    def __call__(self, event: Committed[Any]) -> None:
        super().__call__(event)
        if event.data.amount == 13 and not self.healed:
            raise ValueError("unlucky")


def poison(app: Act, **options: Any) -> Poisoned:
    """Three events of one target; it is blocked at the second."""
    handler = Poisoned()
    app.on(Deposited, to="all", name="mail", retries=0, **options)(handler)
    for amount in (1, 13, 3):
        deposit(app, "a", amount=amount)
    app.settle()
    assert handler.positions == [1, 2]
    return handler


def test_one_event_is_stepped_over_and_it_is_written_down(app: Act) -> None:
    handler = poison(app)
    before = datetime.now(UTC)
    with app.context(actor=Actor("ada")):
        done = app.skip("all", reason="no such customer")
    assert done == Skipped("all", "mail", 2, "a", 2, "Deposited", "no such customer", "ada", done.at)
    assert before <= done.at <= datetime.now(UTC)
    assert list(app.skipped()) == list(app.skipped("all")) == [done]
    assert list(app.skipped("other")) == []
    assert not list(app.blocked())
    app.settle()
    assert handler.positions == [1, 2, 3]
    (target,) = app.targets()
    assert (target.lag, target.attempts, target.error) == (0, 0, None)


def test_without_an_actor_it_is_the_user_who_did_it(app: Act) -> None:
    poison(app)
    assert app.skip("all", 2, reaction="mail", reason="why not").by


def test_a_sleeping_worker_goes_on(app: Act) -> None:
    handler = poison(app)
    with working(app):
        app.skip("all", reason="no")
        handler.await_count(3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"target": "all", "position": 3}, "'mail' comes to position 2 next"),
        ({"target": "all", "reaction": "post"}, "no reaction 'post' runs under the target 'all', but 'mail'"),
        ({"target": "none"}, "there is no target"),
        ({"target": "all", "reason": " "}, "needs a reason"),
        ({"target": "all", "reason": "x" * 201}, "200 at most"),
    ],
)
def test_what_cannot_be_skipped_is_refused_and_changes_nothing(app: Act, given: dict[str, Any], said: str) -> None:
    poison(app)
    with pytest.raises(ValidationError, match=said):
        app.skip(**{"reason": "no", **given})
    assert len(list(app.blocked())) == 1
    assert not list(app.skipped())


def test_nothing_to_skip_is_said(app: Act) -> None:
    app.on(Deposited, to="all", name="mail")(Heard())
    deposit(app, "a")
    app.settle()
    with pytest.raises(ValidationError, match="no event to skip"):
        app.skip("all", reason="no")


def test_only_the_reaction_that_failed_steps_over_it(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", name="count")(heard)
    poison(app)
    assert app.skip("all", reason="no").reaction == "mail"
    app.settle()
    assert heard.positions == [1, 2, 2, 3]


def test_of_several_reactions_it_must_be_said_which(app: Act) -> None:
    app.on(Deposited, to="all", name="one")(Heard())
    app.on(Deposited, to="all", name="two")(Heard())
    deposit(app, "a")
    app.correlate()
    with pytest.raises(
        ValidationError, match="say which event of which one: reaction='one', position=1 or reaction='two'"
    ):
        app.skip("all", reason="no")
    assert app.skip("all", reaction="two", reason="no").reaction == "two"


def test_a_block_by_hand_stays(app: Act) -> None:
    app.on(Deposited, to="all", name="mail")(Heard())
    deposit(app, "a", "a")
    app.correlate()
    app.block("all")
    app.skip("all", reason="no")
    assert [target.error for target in app.blocked()] == ["blocked by hand"]


def test_an_event_that_does_not_decode_can_be_skipped(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", name="mail")(heard)
    app.store.append("bad", [("Deposited", b"{}")])
    deposit(app, "good")
    app.settle()
    assert app.skip("all", reason="no").stream == "bad"
    app.settle()
    assert heard.positions == [2]


def test_a_reset_brings_a_skipped_event_back(app: Act) -> None:
    handler = poison(app)
    app.skip("all", reason="no")
    app.settle()
    handler.healed = True
    app.reset("all")
    app.settle()
    assert handler.positions == [1, 2, 3, 1, 2, 3]


def test_what_was_skipped_outlives_a_restart_and_a_backup_and_is_in_sql(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        poison(app)
        app.skip("all", reason="gone \N{SKULL}")
        assert app.sql("select reaction, position, reason from skipped").fetchall() == [("mail", 2, "gone \N{SKULL}")]
        app.store.backup(tmp_path / "copy.act")
    for path in (tmp_path / "bank.act", tmp_path / "copy.act"):
        with Act(path, Account) as app:
            assert [each.reason for each in app.skipped()] == ["gone \N{SKULL}"]
        with connect(str(path)) as connection:
            assert connection.sql('select target, stream, version, name, "by" is null from skipped').fetchall() == [
                ("all", "a", 2, "Deposited", False)
            ]


async def test_from_asyncio_as_well() -> None:
    async with AsyncAct("memory:", Account) as app:
        handler = Poisoned()
        app.on(Deposited, to="all", name="mail", retries=0)(handler)
        await app.do(Account.deposit, "a", amount=13)
        await app.settle()
        done = await app.skip("all", reason="no")
        assert [each async for each in app.skipped()] == [done]
        assert app.replaying is False


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "bank.act")
    with Act(path, Account) as app:
        poison(app)
    assert main(["why", path, "all"]) == 1
    said = capsys.readouterr().out
    assert "the event is Deposited, version 2 of stream 'a'; the reaction is 'mail'" in said
    assert f"act-fast skip {path} all --reason '...'" in said
    assert "its handlers repeat all that they have done for 1 event" in said
    assert main(["skip", path, "all"]) == 2
    assert "--reason" in capsys.readouterr().err
    assert main(["skip", path, "all", "--reason", "no such customer"]) == 0
    assert capsys.readouterr().out == "all: Deposited at position 2 skipped for reaction 'mail'\n"
    assert main(["skip", path]) == 0
    assert capsys.readouterr().out.startswith("all\tmail\t2\ta\t2\tDeposited\tno such customer\t")
    assert main(["skip", path, "--position", "2"]) == 2


def test_a_reset_to_a_position_or_a_time(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", name="all")(heard)
    deposit(app, "a", "b", "c", "d")
    app.settle()
    app.reset("all", to=2)
    app.settle()
    assert heard.positions == [1, 2, 3, 4, 3, 4]
    app.reset("all", to=heard.events[2].created)
    app.settle()
    assert heard.positions[6:] in ([4], [])  # events may have the same time
    app.reset("all", to=99)
    assert next(app.targets()).lag == 0, "never forward"
    for wrong in (-1, True, datetime(2020, 1, 1)):
        with pytest.raises(ValidationError, match=r"^to\b"):
            app.reset("all", to=wrong)


def test_a_reset_does_not_skip_what_was_never_handled(app: Act) -> None:
    handler = poison(app)
    app.reset("all", to=3)
    handler.healed = True
    app.settle()
    assert handler.positions == [1, 2, 2, 3]


def test_a_handler_knows_that_it_repeats(app: Act) -> None:
    told: list[tuple[int, int, str | None, bool]] = []

    @app.on(Deposited, to="all", name="all", backoff=0)
    def handle(event: Committed[Deposited], app: Act) -> None:
        told.append((event.position, event.attempt, event.target, app.replaying))
        if event.position == 2 and event.attempt < 3:
            raise ValueError("not yet")

    deposit(app, "a", "b")
    app.settle()
    assert told == [(1, 1, "all", False), (2, 1, "all", False), (2, 2, "all", False), (2, 3, "all", False)]
    told.clear()
    app.reset("all", to=1)
    deposit(app, "c")
    app.settle()
    assert told[0] == (2, 1, "all", True)
    assert told[-1] == (3, 1, "all", False)
    (outside, *_) = app.query()
    assert (outside.attempt, outside.target, app.replaying) == (1, None, False)


def test_a_reaction_that_is_new_replays_nothing(app: Act) -> None:
    told: list[tuple[str, bool]] = []
    app.on(Deposited, to="all", name="old")(lambda event: told.append(("old", app.replaying)))
    deposit(app, "a")
    app.settle()
    app.on(Deposited, to="all", name="new")(lambda event: told.append(("new", app.replaying)))
    app.reset("all")
    app.settle()
    assert sorted(told) == [("new", False), ("old", False), ("old", True)]


def test_a_repeat_after_a_lost_lease_is_told_though_it_is_not_counted() -> None:
    with Act("memory:", Account, lanes=[Lane("default", lease=0.05)]) as app:
        told: list[int] = []
        app.on(Deposited, name="own")(lambda event: told.append(event.attempt))
        deposit(app, "a", "b")
        app.correlate()
        program = app._program
        assert len(program.port().claim(None, 9, 0, 1, 50, program.holder, app.store.head)) == 2
        until(lambda: app.settle() and len(told) == 2)
        assert told == [2, 2]


async def test_async_and_batch_handlers_know_it_too() -> None:
    async with AsyncAct("memory:", Account) as app:
        told: list[tuple[str, int, str | None, bool]] = []

        @app.on(Deposited, to="task", name="task")
        async def task(event: Committed[Deposited], app: AsyncAct) -> None:
            told.append(("task", event.attempt, event.target, app.replaying))

        class Batches(Projection, name="batch"):
            @batch(Deposited)
            def many(self, events: list[Committed[Deposited]]) -> None:
                told.extend(("batch", event.attempt, event.target, app.replaying) for event in events)

        app.include(Batches())
        for _ in range(2):
            await app.do(Account.deposit, "a", amount=1)
        await app.settle()
        assert sorted(told) == [("batch", 1, "batch", False)] * 2 + [("task", 1, "task", False)] * 2
        told.clear()
        await app.reset(pattern="")
        await app.settle()
        assert sorted(told) == [("batch", 1, "batch", True)] * 2 + [("task", 1, "task", True)] * 2


def test_what_was_skipped_is_not_told_as_a_repeat_when_a_reset_brings_it_back(app: Act) -> None:
    told: list[tuple[int, int, bool]] = []

    @app.on(Deposited, to="all", name="mail", retries=0)
    def mail(event: Committed[Deposited]) -> None:
        told.append((event.position, event.attempt, app.replaying))
        if event.position == 2 and not list(app.skipped()):
            raise ValueError("unlucky")

    deposit(app, "a", "b", "c")
    app.settle()
    app.skip("all", reason="no")
    app.settle()
    assert told == [(1, 1, False), (2, 1, False), (3, 1, False)]
    for repeats in (False, True):
        told.clear()
        app.reset("all")
        app.settle()
        assert told == [(1, 1, True), (2, 1, repeats), (3, 1, True)]


def test_a_skipped_event_that_comes_first_of_a_batch_hides_no_repeat() -> None:
    told: list[tuple[int, bool]] = []

    class Batches(Projection, name="batch", retries=0):
        fails = True

        @batch(Deposited)
        def many(self, events: list[Committed[Deposited]]) -> None:
            if self.fails:
                raise ValueError("unlucky")
            told.extend((event.position, app.replaying) for event in events)

    batches = Batches()
    with Act("memory:", Account, batches) as app:
        deposit(app, "a", "b")
        app.settle()
        app.skip("batch", reason="no")
        batches.fails = False
        app.settle()
        assert told == [(2, False)]
        told.clear()
        app.reset("batch", to=1)
        app.settle()
        assert told == [(2, True)]


def test_a_reaction_that_is_forgotten_has_skipped_nothing() -> None:
    told: list[tuple[str, int, bool]] = []
    store = LogStore.memory()

    def program(*names: str, failing: bool = False) -> Act:
        app = Act(store, Account)
        for name in names:

            def handle(event: Committed[Deposited], name: str = name) -> None:
                told.append((name, event.position, app.replaying))
                if failing and event.position == 1:
                    raise ValueError("unlucky")

            app.on(Deposited, to="all", name=name, retries=0)(handle)
        return app

    with program("gone", "there", failing=True) as app:
        deposit(app, "a", "b")
        app.settle()
        for name in ("gone", "there"):
            app.skip("all", reaction=name, reason="no")
        app.settle()
    with program("there") as app:
        app.forget_reaction("gone")
        assert [each.reaction for each in app.skipped()] == ["gone", "there"], "it is still written down"
    with program("gone", "there") as app:
        told.clear()
        app.settle()
        assert told == [("gone", 1, False), ("gone", 2, False)]
        for repeats in (False, True):
            told.clear()
            app.reset("all")
            app.settle()
            assert told == [("gone", 1, True), ("there", 1, repeats), ("gone", 2, True), ("there", 2, True)]


def test_a_rebuild_leaves_out_nothing_of_a_projection_that_was_forgotten() -> None:
    class Sums(Projection, name="sums", retries=0):
        def __init__(self) -> None:
            self.heard: list[int] = []
            self.fails = True

        @on(Deposited)
        def deposited(self, event: Committed[Deposited]) -> None:
            if self.fails and event.position == 2:
                raise ValueError("unlucky")
            self.heard.append(event.position)

        def fresh(self) -> "Sums":
            made = Sums()
            made.fails = False
            return made

        def take_over(self, fresh: Any) -> None:
            self.heard, self.fails = fresh.heard, False

    sums = Sums()
    store = LogStore.memory()
    with Act(store, Account, sums) as app:
        deposit(app, "a", "b", "c")
        app.settle()
        app.skip("sums", reason="no")
        app.settle()
        app.rebuild(sums)
        assert sums.heard == [1, 3]
    with Act(store, Account) as app:
        app.forget_reaction("sums")
    with Act(store, Account, sums) as app:
        app.settle()
        sums.heard.clear()
        app.rebuild(sums)
        assert sums.heard == [1, 2, 3]


def test_a_reset_to_a_time_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "bank.act")
    heard = Heard()
    with Act(path, Account) as app:
        app.on(Deposited, to="all", name="all")(heard)
        deposit(app, "a")
        until(lambda: deposit(app, "b") or len({event.created for event in app.query()}) > 1)
        app.settle()
        before, first = len(heard.positions), heard.events[0].created
        expected = [event.position for event in heard.events if event.created > first]
        for to in (first.isoformat(), first.isoformat().replace("+00:00", "Z"), str(heard.positions[-1])):
            assert main(["reset", path, "all", "--to", to]) == 0
        assert main(["reset", path, "all", "--to", first.isoformat()]) == 0
        assert capsys.readouterr().out == "1 target reset\n" * 4
        app.settle()
        assert heard.positions[before:] == expected
    with pytest.raises(SystemExit):
        main(["reset", path, "all", "--to", "yesterday"])
    assert "neither a position nor a time" in capsys.readouterr().err
