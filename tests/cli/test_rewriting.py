"""`act-fast redact` and `prune`: what must go, and what nobody needs any more."""

from pathlib import Path

import pytest

from act_fast import Act, LogStore
from tests.support.bank import Account


def test_nothing_is_redacted_without_yes(run, bank: Path) -> None:
    what = ("redact", bank, "--positions", "1-2", "--set", '{"owner": "x"}', "--reason", "names")
    ran = run(*what)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "2 events in 2 streams would be redacted; add --yes to do it\n"
    ran = run(*what, "--by", "ada", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "2 events in 2 streams redacted; position 8 records it\n"
    with LogStore(bank, read_only=True) as store:
        found = list(store.query())
        assert [event.data for event in found[:2]] == [b'{"owner":"x"}'] * 2
        assert found[7].meta.actor is not None
        assert (found[7].meta.actor.id, found[7].stream) == ("ada", "$rewritings")
    assert run("verify", bank).out.startswith("healthy")
    assert run("redact", bank, "--positions", "3", "--drop", "--reason", "r", "--yes").code == 0
    with LogStore(bank, read_only=True) as store:
        assert [event.data for event in store.query()][2] == b'"redacted"'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--positions", "x", "--drop", "--reason", "r"], "neither a position"),
        (["--positions", "3-1", "--drop", "--reason", "r"], "names no positions"),
        (["--positions", "1", "--set", "[]", "--reason", "r"], "must be a JSON object"),
        (["--positions", "1", "--reason", "r"], "--set --drop"),
        (["--positions", "99", "--drop", "--reason", "r"], "no event at position 99"),
    ],
)
def test_what_is_wrong_is_said(run, bank: Path, arguments: list[str], said: str) -> None:
    ran = run("redact", bank, *arguments)
    assert ran.code == 2
    assert said in ran.err


def test_a_store_that_is_open_is_not_rewritten(run, bank: Path) -> None:
    with LogStore(bank, durability="os"):
        ran = run("redact", bank, "--positions", "1", "--drop", "--reason", "r", "--yes")
        assert (ran.code, "open elsewhere" in ran.err) == (2, True)
        assert run("redact", bank, "--positions", "1", "--drop", "--reason", "r").code == 0
        assert run("prune", bank, "--dry-run").code == 0
    assert run("redact", "postgresql://nobody/x", "--positions", "1", "--drop", "--reason", "r").code == 2


def test_books_that_were_closed_are_pruned(run, tmp_path: Path) -> None:
    path = tmp_path / "bank.act"
    with Act(str(path), Account) as app:
        app.do(Account.open, "a-1", owner="Ada")
        app.do(Account.deposit_each, "a-1", amounts=[1] * 50)
        app.restart_stream(Account, "a-1")
    ran = run("prune", path, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("51 events in 1 stream would be pruned: ")
    assert ["Deposited", "50", "600"] in ran.rows
    ran = run("prune", path, "--by", "ada")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("51 events in 1 stream pruned: ")
    assert run("prune", path).out.startswith("0 events in 0 streams pruned")
    assert ["pruned", "51"] in run("info", path).rows
    with Act(str(path), Account) as app:
        assert app.load(Account, "a-1").state.balance == 50
